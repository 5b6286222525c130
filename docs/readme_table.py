"""Write the table of heads in README.md from the card of the shipped model.

    python docs/readme_table.py            # rewrite the table
    python docs/readme_table.py --check    # exit status 1 if it is out of date

Nothing in the table is written by hand, so it cannot say more than the card does.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from atomfm_calc.registry.card import HeadInfo, ModelCard, load_card
from atomfm_calc.registry.catalog import find_model

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- heads:begin -->", "<!-- heads:end -->"
COLUMNS = (
    "head",
    "level of theory",
    "elements",
    "domain",
    "charges",
    "structures",
    "energy error",
    "force error",
    "data licence",
)


def heads_table(card: ModelCard) -> str:
    """The heads of a card as a Markdown table, with a line that says what the errors are."""
    rows = [COLUMNS, ("---",) * len(COLUMNS)]
    rows += [_row(card, name, info) for name, info in card.heads.items()]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    splits = {info.validation.split for info in card.heads.values() if info.validation}
    lines += [
        "",
        f"{card.label}; **{card.default_head}** is the default head. Errors are mean absolute "
        "errors on held-out structures, in meV/atom and meV/Å"
        + (f" ({'; '.join(sorted(splits))})" if splits else "")
        + ". Baselines, sources and limits of every head: `atomfm models show "
        f"{card.name}`.",
    ]
    return "\n".join(lines)


def _row(card: ModelCard, name: str, info: HeadInfo) -> tuple[str, ...]:
    errors = info.validation.joint if info.validation else None
    energy = errors.energy_mae_meV_per_atom if errors else None
    forces = errors.forces_mae_meV_per_angstrom if errors else None
    return (
        f"**{name}**" if name == card.default_head else name,
        info.theory,
        str(len(info.elements)),
        ", ".join(info.periodicity),
        ", ".join(f"{charge:+d}" if charge else "0" for charge in sorted(info.charges)),
        f"{sum(info.n_structures.values()):,}",
        "–" if energy is None else f"{energy:.3g}",
        "–" if forces is None else f"{forces:.3g}",
        re.split(r", | \(", info.licence)[0],
    )


def with_table(text: str, table: str) -> str:
    """The README's text with another table between the two markers.

    Raises:
        ValueError: the markers are not there, once each and in order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the README needs the lines {BEGIN} and {END}")
    return f"{before}{begin}\n{table}\n{end}{after}"


def main() -> None:
    """Rewrite or check the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="painn-lead", help="shipped name or model folder")
    parser.add_argument("--check", action="store_true", help="change nothing, only compare")
    arguments = parser.parse_args()
    text = README.read_text(encoding="utf-8")
    wanted = with_table(text, heads_table(load_card(find_model(arguments.model))))
    if not arguments.check:
        README.write_text(wanted, encoding="utf-8")
    elif wanted != text:
        sys.exit("the table of heads is out of date; run python docs/readme_table.py")


if __name__ == "__main__":
    main()
