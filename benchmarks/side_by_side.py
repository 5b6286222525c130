"""Report cards of several calculators in one table, as docs/conformance.md has it.

    atomfm check --head gfn1-xtb --out cards/ours
    atomfm check --calculator ase.calculators.emt:EMT --out cards/EMT
    python benchmarks/side_by_side.py "gfn1-xtb=cards/ours" EMT=cards/EMT

Each argument is NAME=FOLDER, in the order of the columns; `atomfm check --out` made the folder.
What the table needs of the cards is kept in `results/conformance.json`, the table in
`results/conformance.md`; without arguments it is made again from the former.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
CARD = "report-card.json"
NOT_APPLICABLE = "–"
Card = Mapping[str, Any]


def read_card(folder: Path) -> Card:
    """A report card without its single deviations; of each check the worst stays.

    Raises:
        SystemExit: the folder has no card.
    """
    path = folder / CARD
    if not path.is_file():
        raise SystemExit(f"there is no {path}; atomfm check --out {folder} writes it")
    card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for result in card["results"]:
        del result["deviations"], result["seconds"]
    return card


def cell(result: Mapping[str, Any] | None) -> str:
    """The worst deviation of a check with its unit, marked if it failed."""
    if result is None or result["status"] == "not applicable":
        return NOT_APPLICABLE
    worst = result["worst"]
    if worst is None:
        measured = "raises"
    elif worst["value"] == 0.0:
        measured = "0"
    elif worst["tolerance"] == 0.0:  # a count of what must not be
        measured = ""
    else:
        measured = f"{worst['value']:.1g} {worst['unit']}"
    return (measured if result["status"] == "passed" else f"**fails** {measured}").rstrip()


def table(cards: Mapping[str, Card]) -> str:
    """A row for each check, a column for each calculator, by the name it was given."""
    found = {
        name: {result["check"]: result for result in card["results"]}
        for name, card in cards.items()
    }
    checks = dict.fromkeys(check for results in found.values() for check in results)
    rows = [[check, *(cell(results.get(check)) for results in found.values())] for check in checks]
    failed = [
        str(sum(result["status"] == "failed" for result in results.values()))
        for results in found.values()
    ]
    heading, *lines = [
        f"| {' | '.join(line)} |" for line in (["check", *found], *rows, ["**failed**", *failed])
    ]
    return "\n".join([heading, "|---" * (len(found) + 1) + "|", *lines]) + "\n"


def facts(cards: Mapping[str, Card]) -> str:
    """Who was examined, with what: a line for each calculator, after what they have in common."""
    versions = [set(card["versions"].items()) for card in cards.values()]
    common = set.intersection(*versions)
    lines = [f"- all: {', '.join(' '.join(pair) for pair in sorted(common))}"]
    for (name, card), own in zip(cards.items(), versions, strict=True):
        parts = [
            card["calculator"],
            f"{card['precision']} ({card['precision_source']})",
            ", ".join(card["structures"]),
            ", ".join(" ".join(pair) for pair in sorted(own - common)),
        ]
        lines.append(f"- {name}: {'; '.join(part for part in parts if part)}")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Keep the cards, if any are given, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cards", nargs="*", metavar="NAME=FOLDER")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    kept = given.results / "conformance.json"
    for one in given.cards:
        if not all(one.partition("=")):
            parser.error(f"{one!r} is not NAME=FOLDER, such as EMT=cards/emt")
    if given.cards:
        named = (one.partition("=") for one in given.cards)
        read = {name: read_card(Path(folder)) for name, _, folder in named}
        text = json.dumps(read, indent=1, ensure_ascii=False)
        kept.write_text(f"{text}\n", encoding="utf-8")
    cards = json.loads(kept.read_text(encoding="utf-8"))
    text = f"{table(cards)}\n{facts(cards)}"
    (given.results / "conformance.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
