"""HTML pages."""

from __future__ import annotations

from atomfm_calc.web_page import html_table, web_page


def test_texts_of_a_table_are_escaped_and_numbers_stand_right() -> None:
    table = html_table(("a<b", "n"), [("<script>", "1,234"), ("x", "−0.5e-3"), ("y", "–")])
    assert "<script>" not in table
    assert "<th>a&lt;b</th>" in table
    assert '<th class="number">n</th>' in table
    assert table.count('<td class="number">') == 3


def test_a_table_without_rows_has_its_header() -> None:
    assert html_table(("a",), []).count("<th") - html_table(("a",), []).count("<thead") == 1


def test_a_page_is_for_narrow_screens_too() -> None:
    page = web_page("a & b", "<p/>", "p{}")
    assert "<title>a &amp; b</title>" in page
    assert "width=device-width" in page
