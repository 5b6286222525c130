"""Can the rows be read, are the labels there, are they numbers?"""

from __future__ import annotations

from collections import Counter

from training.datasets.own import LABELS, no_labels
from training.doctor.examined import Examined
from training.doctor.report import Finding, ranges


def check_rows(file: Examined) -> list[Finding]:
    """Rows that cannot be read, each with its reason."""
    if file.n_rows == 0:
        return [Finding(check="rows", verdict="wrong", message="the file holds no row")]
    bad = file.unreadable
    if not bad:
        return [Finding(check="rows", verdict="ok", message=f"all {file.n_rows} rows can be read")]
    return [
        Finding(
            check="rows",
            verdict="wrong",
            message=f"{len(bad)} of {file.n_rows} rows cannot be read. {_reasons(bad)}",
            rows=tuple(bad),
            advice="repair these rows or take them out; training would stop there",
        )
    ]


def check_structures(file: Examined) -> list[Finding]:
    """Structures that cannot be right: no atoms, positions not finite, flat periodic cells."""
    bad = file.impossible
    if not bad:
        return [Finding(check="structures", verdict="ok", message="positions and cells make sense")]
    return [
        Finding(
            check="structures",
            verdict="wrong",
            message=f"{len(bad)} structures cannot be right. {_reasons(bad)}",
            rows=tuple(bad),
            advice="write pbc=F for directions that are not periodic, and the cell for those that "
            "are; take out rows that are damaged",
        )
    ]


def check_missing(file: Examined) -> list[Finding]:
    """Labels that some rows have and others lack."""
    present = {
        name: [row.number for row in file.rows if row.sample and name in row.sample.targets]
        for name in LABELS
    }
    labeled = set().union(*present.values())
    unlabeled = tuple(row.number for row in file.rows if row.number not in labeled)
    if not labeled:
        message = f"no row has a label: it has {no_labels(file.own, file.keys)}"
        return [Finding(check="missing labels", verdict="wrong", message=message)]
    findings = []
    if unlabeled:
        findings.append(
            Finding(
                check="missing labels",
                verdict="wrong",
                message=f"{len(unlabeled)} rows have no label at all",
                rows=unlabeled,
                advice="take them out, or name the keys that hold their labels",
            )
        )
    for name, rows in present.items():
        lacking = sorted(labeled - set(rows))
        if rows and lacking:
            findings.append(
                Finding(
                    check="missing labels",
                    verdict="suspicious",
                    message=f"{len(lacking)} rows have no {name}, {len(rows)} have",
                    rows=tuple(lacking),
                    advice="no harm if meant: training uses the labels there are",
                )
            )
    words = ", ".join(f"{len(rows)} {name}" for name, rows in present.items() if rows)
    return findings or [Finding(check="missing labels", verdict="ok", message=words)]


def check_finite(file: Examined) -> list[Finding]:
    """Labels that are NaN or infinite."""
    findings = [
        Finding(
            check="finite",
            verdict="wrong",
            message=f"{name} is not finite in {len(rows)} rows",
            rows=tuple(rows),
            advice="take the label out of these rows: a missing label is no problem, NaN is",
        )
        for name, rows in file.not_finite.items()
        if rows
    ]
    return findings or [Finding(check="finite", verdict="ok", message="all labels are finite")]


def _reasons(bad: dict[int, str]) -> str:
    """The commonest reasons with their rows, three at most."""
    counted = Counter(bad.values()).most_common(3)
    texts = []
    for reason, _ in counted:
        rows = [row for row, text in bad.items() if text == reason]
        texts.append(f"Row {ranges(rows, 3)}: {reason}")
    return ". ".join(texts)
