"""The tables of `docs/trust.md` from the figures that the three programs keep.

    python benchmarks/trust.py            # rewrite the tables
    python benchmarks/trust.py --check    # exit status 1 if they are out of date

`stability.py`, `equation_of_state.py` and `bond_lengths.py` measure; nothing in a table is written
by hand. Figures of several models are refused: a page is about one.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from stability_systems import SYSTEMS

from atomfm_calc.errors import DataError

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent / "docs" / "trust.md"
SOURCES = {
    "stability": "stability.json",
    "half steps": "stability-half-step.json",
    "eos": "eos-gfn1-xtb.json",
    "ground states": "eos-mlearn-pbe.json",
    "bonds": "bond-lengths.json",
}
"""Files in `results`."""
SYSTEM_COLUMNS = (
    *("system", "head", "atoms", "K", "step, fs", "survived", "mean K", "shortest share"),
    *("displacement share", "drift, meV/atom/ps"),
)
Content = Mapping[str, Any]


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In Markdown."""
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float | None, digits: int) -> str:
    """Rounded; a dash for nothing, and no zero with a minus."""
    return "–" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def stability_table(content: Content) -> str:
    """A row per system; those that were not run are there too."""
    found = content["systems"]
    survivors = [name for name, facts in found.items() if facts["survived"]]
    rows = [_system_row(name, found.get(name)) for name in SYSTEMS]
    duration = content["nvt_ps"] + content["nve_ps"]
    summary = [f"**{len(survivors)} of {len(found)} survive {duration:g} ps**"]
    if len(found) < len(SYSTEMS):
        summary.append(f"{len(SYSTEMS) - len(found)} of {len(SYSTEMS)} were not run")
    drifts = [abs(found[name]["nve_drift_meV_per_atom_per_ps"]) for name in survivors]
    if drifts:
        summary.append(
            f"drift of the survivors: median {np.median(drifts):.2g}, largest "
            f"{max(drifts):.2g} meV/atom/ps"
        )
    return "; ".join(summary) + ".\n\n" + table(SYSTEM_COLUMNS, rows)


def half_step_table(content: Content) -> str:
    """A row for each system that was repeated with half the step."""
    rows = [_system_row(name, facts) for name, facts in content["systems"].items()]
    return table(SYSTEM_COLUMNS, rows)


def _system_row(name: str, facts: Content | None) -> Sequence[str]:
    system = SYSTEMS[name]
    begun = (name, system.head)
    step_fs = system.timestep_fs if facts is None else facts["timestep_fs"]
    asked = (f"{system.temperature_K:g}", f"{step_fs:g}")
    if facts is None:
        return (*begun, str(len(system.build())), *asked, "not run", "–", "–", "–", "–")
    yes = "yes" if facts["survived"] else f"**no**, {facts['time_ps']:.1f} ps: {facts['reason']}"
    return (
        *begun,
        str(facts["n_atoms"]),
        *asked,
        yes,
        number(facts.get("mean_temperature_K"), 0),
        number(facts.get("shortest_share"), 2),
        number(facts.get("displacement_share"), 3),
        number(facts.get("nve_drift_meV_per_atom_per_ps"), 3),
    )


def lattice_table(content: Content) -> str:
    """A row per crystal."""
    crystals = content["crystals"]
    groups = {"": list(crystals)}
    if is_mixed := not all(facts["in_collection"] for facts in crystals.values()):
        groups["In the collection: "] = [n for n in crystals if crystals[n]["in_collection"]]
        groups["Not in it: "] = [n for n in crystals if not crystals[n]["in_collection"]]
    summary = [title + _deviations(crystals, names) for title, names in groups.items()]
    without = [name for name in crystals if crystals[name]["reference_angstrom"] is None]
    if without:
        summary.append(f"Without a reference: {', '.join(without)}.")
    rows = [
        (
            name,
            facts["prototype"],
            number(facts["reference_angstrom"], 3),
            _length(facts),
            number(facts["deviation_percent"], 2),
            "yes" if facts["one_minimum"] else "**no**",
        )
        for name, facts in crystals.items()
    ]
    columns = ["crystal", "prototype", "theory, Å", "head, Å", "deviation, %", "one minimum"]
    if is_mixed:
        columns.append("in the collection")
        seen = ("yes" if facts["in_collection"] else "no" for facts in crystals.values())
        rows = [(*row, word) for row, word in zip(rows, seen, strict=True)]
    return "\n".join(summary) + "\n\n" + table(columns, rows)


def _length(facts: Content) -> str:
    """The lattice constant, or where the energy is lowest on a curve without a minimum."""
    if facts["lattice_constant_angstrom"] is None:
        return f"none, lowest at {facts['lowest_scale']:.2f}"
    return number(facts["lattice_constant_angstrom"], 3)


def _deviations(crystals: Content, names: Sequence[str]) -> str:
    """How many of the crystals have a minimum in both, and how far they are apart."""
    known = [name for name in names if crystals[name]["reference_angstrom"] is not None]
    off = {
        name: abs(crystals[name]["deviation_percent"])
        for name in known
        if crystals[name]["deviation_percent"] is not None
    }
    sizes = list(off.values())
    return (
        f"**{len(off)} of {len(known)}** crystals with a reference have their minimum within 6 % "
        f"of it; mean absolute deviation {np.mean(sizes):.2f} %, median {np.median(sizes):.2f} %, "
        f"largest {max(sizes):.2f} % ({max(off, key=lambda name: off[name])})."
    )


def bond_table(content: Content) -> str:
    """A row per molecule with its worst bond; means over molecules by head."""
    molecules = content["molecules"]
    rows = []
    for name, facts in molecules.items():
        kind, known, length = facts["bonds"][facts["worst"]]
        rows.append(
            (
                name.partition(",")[0],
                facts["head"],
                str(len(facts["bonds"])),
                number(facts["mean_angstrom"], 4),
                kind,
                number(known, 4),
                number(length, 4),
                f"{length - known:+.4f}",
                number(facts["mean_degrees"], 2),
                number(facts["max_degrees"], 1),
            )
        )
    columns = (
        *("molecule", "head", "bonds", "mean deviation, Å", "worst bond", "theory, Å", "head, Å"),
        *("deviation, Å", "angles: mean, °", "largest, °"),
    )
    return _bond_means(molecules) + "\n\n" + table(columns, rows)


def _bond_means(molecules: Content) -> str:
    rows = []
    for head in dict.fromkeys(facts["head"] for facts in molecules.values()):
        chosen = [facts for facts in molecules.values() if facts["head"] == head]
        bonds = [abs(found - known) for facts in chosen for _, known, found in facts["bonds"]]
        rows.append(
            (
                head,
                str(len(chosen)),
                str(len(bonds)),
                number(float(np.mean(bonds)), 4),
                number(max(bonds), 4),
                number(float(np.mean([facts["mean_degrees"] for facts in chosen])), 2),
                "yes" if all(facts["same_bonds"] for facts in chosen) else "**no**",
            )
        )
    columns = (
        *("head", "molecules", "bonds", "mean deviation of a bond, Å", "largest, Å"),
        *("mean deviation of an angle, °", "all bonds kept"),
    )
    return table(columns, rows)


MAKERS = {
    "stability": stability_table,
    "half steps": half_step_table,
    "eos": lattice_table,
    "ground states": lattice_table,
    "bonds": bond_table,
}


def load(results: Path) -> dict[str, Content]:
    """The figures that there are, all of one model.

    Raises:
        DataError: they are of several.
    """
    contents = {
        name: json.loads((results / file).read_text(encoding="utf-8"))
        for name, file in SOURCES.items()
        if (results / file).exists()
    }
    models = {(content["model"], content["weights_sha256"]) for content in contents.values()}
    if len(models) > 1:
        labels = {SOURCES[name]: contents[name]["model"] for name in contents}
        raise DataError(f"figures of several models: {labels}; measure what is old again")
    return contents


def filled(page: str, contents: Mapping[str, Content]) -> str:
    """The page with new tables between its markers."""
    parts = {
        name: maker(contents[name]) if name in contents else "Not measured."
        for name, maker in MAKERS.items()
    }
    one = next(iter(contents.values()))
    parts["model"] = f"**{one['model']}**, weights `{one['weights_sha256'][:12]}`"
    for name, text in parts.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        if not pattern.search(page):
            raise DataError(f"the page has no {begin} ... {end}; put the markers back")
        replacement = f"{begin}\n{text}\n{end}"
        page = pattern.sub(lambda _, replacement=replacement: replacement, page)
    return page


def main() -> None:
    """Write the page, or say whether it is what it would be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--results", type=Path, default=FOLDER / "results")
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    page = given.page.read_text(encoding="utf-8")
    new = filled(page, load(given.results))
    if given.check:
        sys.exit(int(new != page))
    given.page.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
