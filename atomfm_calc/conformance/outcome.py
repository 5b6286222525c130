"""What examinations say: deviations, the outcome of a check, the report card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Literal, NamedTuple

from atomfm_calc.errors import AtomFMError

Status = Literal["passed", "failed", "not applicable"]


class Deviation(NamedTuple):
    """How far something is from what the contract asks."""

    what: str
    """The quantity and the structure"""
    value: float
    """In `unit`; 0 is perfect"""
    tolerance: float
    """Largest value that passes"""
    unit: str
    """Empty for ratios and counts"""

    @property
    def excess(self) -> float:
        """Value over tolerance; infinite for NaN and for any violation of a zero tolerance."""
        if self.value == 0.0:
            return 0.0
        return self.value / self.tolerance if self.tolerance and self.value > 0.0 else inf

    @property
    def text(self) -> str:
        """Value, tolerance, unit and what it is."""
        measured = f"{self.value:.2g} of at most {self.tolerance:.2g} {self.unit}".rstrip()
        return f"{measured}: {self.what}"


class NotApplicableError(AtomFMError):
    """A check that says nothing about this calculator; the message is the reason."""


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """Outcome of one check."""

    check: str
    """Key of `CHECKS`."""
    status: Status
    """ "not applicable" is a fact about the calculator, not a failure."""
    worst: Deviation | None
    """The largest of all deviations in terms of its tolerance; None if nothing was measured."""
    deviations: tuple[Deviation, ...]
    """All that was measured."""
    reason: str
    """Why it does not apply, or what the calculator raised; empty otherwise."""
    seconds: float
    """Time it took."""

    @property
    def text(self) -> str:
        """What was measured, against what, or the reason."""
        return self.reason if self.worst is None else self.worst.text


@dataclass(frozen=True, kw_only=True)
class ReportCard:
    """All checks of one calculator."""

    calculator: str
    """As it was asked for."""
    precision: str
    """Key of `PRECISIONS`."""
    precision_source: str
    """Who says so: "stated" or "probed"."""
    structures: dict[str, str]
    """Name -> formula of what was computed."""
    refused: dict[str, str]
    """Name -> why the calculator did not compute a structure that was offered to it."""
    versions: dict[str, str]
    """Of python, ase, numpy and the calculator's package."""
    fingerprint: dict[str, str] | None
    """What the calculator says about itself, if it has `fingerprint()`."""
    results: tuple[CheckResult, ...]
    """In the order of `CHECKS`."""

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that failed."""
        return tuple(result.check for result in self.results if result.status == "failed")

    @property
    def summary(self) -> str:
        """Numbers of checks by outcome."""
        counts = Counter(result.status for result in self.results)
        return ", ".join(f"{counts[status]} {status}" for status in counts)


def judge(check: str, deviations: Iterable[Deviation], seconds: float) -> CheckResult:
    """The outcome of a check that ran to its end."""
    found = tuple(deviations)
    # of those that are perfect, one that was measured rather than counted
    worst = max(found, key=lambda one: (one.excess, one.tolerance > 0.0), default=None)
    passed = worst is not None and worst.excess <= 1.0
    return CheckResult(
        check=check,
        status="passed" if passed else "failed",
        worst=worst,
        deviations=found,
        reason="" if found else "nothing was measured",
        seconds=seconds,
    )


def card_as_text(card: ReportCard) -> str:
    """The report card for a terminal or a file."""
    lines = [
        f"{card.calculator}: {card.summary}",
        f"precision: {card.precision} ({card.precision_source})",
        "structures: " + ", ".join(f"{name} ({text})" for name, text in card.structures.items()),
        "versions: " + ", ".join(f"{name} {text}" for name, text in card.versions.items()),
    ]
    if card.fingerprint is not None:
        known = (f"{name} {text}" for name, text in card.fingerprint.items())
        lines.append("fingerprint: " + ", ".join(known))
    lines += [f"refused: {name}: {reason}" for name, reason in card.refused.items()]
    width = max(len(result.check) for result in card.results)
    lines += [
        f"{result.status:<14}  {result.check:<{width}}  {result.text}" for result in card.results
    ]
    return "\n".join(lines) + "\n"
