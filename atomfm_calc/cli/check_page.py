"""The report card of a calculator as one HTML page that needs nothing but a browser."""

from __future__ import annotations

from html import escape

from atomfm_calc.conformance import CHECKS
from atomfm_calc.conformance.outcome import CheckResult, ReportCard
from atomfm_calc.web_page import web_page

STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse}td,th{padding:.3em .8em .3em 0;text-align:left;"
    "vertical-align:top;border-bottom:1px solid #ddd}.passed{color:#276749}.failed{color:#c53030}"
    ".not{color:#4a5568}li{font-size:13px}"
)


def card_as_html(card: ReportCard) -> str:
    """The page: who was examined, with what, and a table of all checks with their numbers."""
    facts = {
        "precision": f"{card.precision} ({card.precision_source})",
        "structures": ", ".join(f"{name} ({text})" for name, text in card.structures.items()),
        "versions": ", ".join(f"{name} {text}" for name, text in card.versions.items()),
        "fingerprint": ", ".join(f"{key} {text}" for key, text in (card.fingerprint or {}).items()),
        "refused": "; ".join(f"{name}: {text}" for name, text in card.refused.items()),
    }
    paragraphs = "".join(
        f"<p><b>{name}:</b> {escape(text)}</p>" for name, text in facts.items() if text
    )
    head = "".join(f"<th>{name}</th>" for name in ("", "check", "measured", "what has to hold"))
    rows = "".join(_row(result) for result in card.results)
    body = (
        f"<h1>{escape(card.calculator)}</h1><p>{escape(card.summary)}</p>{paragraphs}"
        f"<table><tr>{head}</tr>{rows}</table>"
    )
    return web_page(f"Report card: {card.calculator}", body, STYLE)


def _row(result: CheckResult) -> str:
    """One check; all of its numbers unfold below the worst."""
    asked = (CHECKS[result.check].__doc__ or "").splitlines()[0]
    measured = escape(result.text)
    if result.deviations:
        every = "".join(f"<li>{escape(one.text)}</li>" for one in result.deviations)
        measured = f"<details><summary>{measured}</summary><ul>{every}</ul></details>"
    return (
        f'<tr><td class="{result.status}">{result.status}</td><td>{escape(result.check)}</td>'
        f"<td>{measured}</td><td>{escape(asked)}</td></tr>"
    )
