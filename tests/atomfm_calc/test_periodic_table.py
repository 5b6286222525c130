"""The periodic table as HTML."""

from __future__ import annotations

import pytest

from atomfm_calc.periodic_table import ElementCell, element_grid, place_of


@pytest.mark.parametrize(
    ("number", "place"),
    [
        (1, (1, 1)),
        (2, (1, 18)),
        (5, (2, 13)),
        (21, (4, 3)),
        (26, (4, 8)),
        (58, (9, 4)),
        (71, (6, 3)),
        (72, (6, 4)),
        (118, (7, 18)),
    ],
)
def test_elements_stand_where_they_stand_in_the_periodic_table(number, place) -> None:
    assert place_of(number) == place


def test_every_element_has_a_place_of_its_own() -> None:
    assert len({place_of(number) for number in range(1, 119)}) == 118


def test_what_is_said_of_an_element_is_text() -> None:
    grid = element_grid({"Fe": ElementCell(("<7",), 0.5, 'a "b"')})
    assert "<b>Fe</b><small>&lt;7</small>" in grid
    assert 'title="a &quot;b&quot;"' in grid
