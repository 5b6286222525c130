"""What the doctor finds: one verdict per question, the rows it is about, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Verdict = Literal["ok", "suspicious", "wrong"]
ORDER: tuple[Verdict, ...] = ("ok", "suspicious", "wrong")
"""From good to bad."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The answer to one question about a file."""

    check: str
    """Key of `CHECKS`."""
    verdict: Verdict
    """wrong: training with it gives a wrong model. suspicious: have a look."""
    message: str
    """What was found, with numbers and units."""
    rows: tuple[int, ...] = ()
    """Rows concerned, from 0; empty: none, or the file as a whole."""
    advice: str = ""
    """What to do about it."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """All findings about a file."""

    file: str
    """Its path."""
    n_rows: int
    """Rows, unreadable ones included."""
    findings: tuple[Finding, ...]
    """In the order of `CHECKS`."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Counts: elements, compositions, labels."""

    @property
    def verdict(self) -> Verdict:
        """The worst of all findings."""
        return max((finding.verdict for finding in self.findings), key=ORDER.index, default="ok")

    def of(self, check: str) -> tuple[Finding, ...]:
        """The findings of one check."""
        return tuple(finding for finding in self.findings if finding.check == check)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the fields, the verdict and, for each finding, its rows as a list."""
        content = asdict(self)
        content["findings"] = [
            {**entry, "rows": list(entry["rows"])} for entry in content["findings"]
        ]
        return {"verdict": self.verdict, **content}


def ranges(rows: Iterable[int], limit: int = 8) -> str:
    """Rows as text: "0-4, 7, 9"; the number of further ranges beyond `limit`."""
    parts: list[list[int]] = []
    for row in sorted(set(rows)):
        if parts and row == parts[-1][1] + 1:
            parts[-1][1] = row
        else:
            parts.append([row, row])
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in parts]
    more = len(texts) - limit
    return ", ".join([*texts[:limit], f"... {more} more"] if more > 0 else texts)
