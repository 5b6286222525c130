"""Compute the stand-ins anew: `python -m downstream.stand_in [NAME ...]`, half an hour in all."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

from atomfm_calc.errors import lookup
from downstream.stand_in import STAND_INS, stand_in_path
from downstream.stand_in.crystals import compounds, layers, perovskites
from downstream.stand_in.frame import LabeledFrame, write_frames
from downstream.stand_in.metals import alloys, disordered_alloy
from downstream.stand_in.molecules import (
    hot_molecules,
    properties_of_molecules,
    strained_conformers,
)

MAKERS: dict[str, Callable[[], Iterator[LabeledFrame]]] = {
    "alloys": alloys,
    "compounds": compounds,
    "disordered-alloy": partial(disordered_alloy, n_frames=120),
    "hot-molecules": partial(hot_molecules, frames_of_each=40, temperature_K=500.0),
    "layers": layers,
    "molecules": properties_of_molecules,
    "perovskites": perovskites,
    "strained-conformers": partial(
        strained_conformers, conformers_of_each=22, temperature_K=2000.0
    ),
}
"""Of every file in `STAND_INS`."""


def main(names: list[str]) -> None:
    """Write the files named, or all."""
    for name in names or list(STAND_INS):
        start = time.perf_counter()
        path = stand_in_path(name)
        n_frames = write_frames(path, lookup(MAKERS, name, "stand-in")())
        size = path.stat().st_size
        print(
            f"{path.name}: {n_frames} structures, {size} bytes, {time.perf_counter() - start:.0f} s"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
