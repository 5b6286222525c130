"""Are the public files of a recipe there, and are they the published ones?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from atomfm_calc.models.weights import sha256_of
from downstream.catalog import FoundRecipe
from downstream.dataset import data_folder


@dataclass(frozen=True, kw_only=True)
class FileState:
    """One file, or all that match one pattern."""

    name: str
    """As published."""
    state: str
    """missing, present, intact, or changed."""
    detail: str
    """How to get it, or what is wrong."""

    @property
    def is_good(self) -> bool:
        """Whether it can be read."""
        return self.state in ("present", "intact")


def file_states(found: FoundRecipe, folder: Path | None = None) -> list[FileState]:
    """Look at every file that a recipe needs.

    Args:
        found: the recipe.
        folder: where its files are; None: the usual place.
    """
    place = data_folder(found, folder)
    states = []
    for file in found.recipe.source.files:
        paths = sorted(place.glob(file.name))
        if not paths:
            state, detail = "missing", file.obtain
        elif file.sha256 is None:
            state, detail = "present", "the source states no checksum"
        else:
            sums = [sha256_of(path) for path in paths]
            intact = sums == [file.sha256]
            state = "intact" if intact else "changed"
            detail = "" if intact else f"SHA-256 is {', '.join(sums)}, published: {file.sha256}"
        states.append(FileState(name=str(place / file.name), state=state, detail=detail))
    return states


def explain(found: FoundRecipe, folder: Path | None = None) -> str:
    """For people: the files, and what to do next."""
    recipe, states = found.recipe, file_states(found, folder)
    lines = [f"{recipe.name}: {recipe.title}"]
    lines.append(f"published at {recipe.source.address}; licence: {recipe.source.licence}")
    for state in states:
        lines.append(f"  {state.state:<8} {state.name}")
        if state.detail:
            lines.append(f"           {state.detail}")
    if found.own_path is not None:
        there = "is there" if found.own_path.exists() else "is missing"
        lines.append(f"  {found.own_path} {there}; look at it with")
        lines.append(f"  python -m training datasets check {found.own_path}")
    elif all(state.is_good for state in states):
        lines.append(f"ready: python -m downstream run {recipe.name}")
    elif any(state.state == "missing" for state in states):
        lines.append("nothing is downloaded by this program; put the files there as published")
    if not all(state.is_good for state in states) and found.read_stand_in is not None:
        lines.append(f"without them, a run uses the stand-in: {found.stand_in}")
    return "\n".join(lines)
