"""One labeled structure of a stand-in, and the small files that hold them."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

Labels = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True, eq=False)
class LabeledFrame:
    """A structure and what was computed of it."""

    atoms: Atoms
    """The structure."""
    labels: Labels = field(default_factory=dict)
    """energy () eV, forces [N, 3] eV/Å, stress [3, 3] eV/Å³."""
    info: Mapping[str, float | str] = field(default_factory=dict)
    """Values of the structure by name, and `group`."""
    source: str
    """Where it comes from: "strained/ethanol/12"."""


def write_frames(path: Path, frames: Iterable[LabeledFrame]) -> int:
    """Write gzip extended XYZ in few digits; equal frames, equal bytes. Returns their number.

    Positions have 1e-5 Å, forces 1e-5 eV/Å, values six digits: below what a model can resolve, and
    a fifth of the bytes of full precision.
    """
    texts = [_text(frame) for frame in frames]
    # no time stamp and no name in the gzip header
    path.write_bytes(gzip.compress("".join(texts).encode(), compresslevel=9, mtime=0))
    return len(texts)


def _text(frame: LabeledFrame) -> str:
    atoms, labels = frame.atoms, frame.labels
    heading = []
    if atoms.pbc.any():
        heading.append(f'Lattice="{_fixed(atoms.cell.array, 5)}"')
    columns = "species:S:1:pos:R:3" + (":REF_forces:R:3" if "forces" in labels else "")
    heading.append(f"Properties={columns}")
    if "energy" in labels:
        heading.append(f"REF_energy={float(labels['energy']):.6f}")
    if "stress" in labels:
        heading.append(f'REF_stress="{_fixed(labels["stress"], 7)}"')
    for name, value in frame.info.items():
        heading.append(f"{name}={value:.7g}" if isinstance(value, float) else f"{name}={value}")
    heading.append(f'source="{frame.source}"')
    heading.append('pbc="{}"'.format(" ".join("FT"[int(is_on)] for is_on in atoms.pbc)))
    columns_of_atoms = [atoms.positions]
    if "forces" in labels:
        columns_of_atoms.append(labels["forces"])
    numbers = np.hstack(columns_of_atoms)  # [N, 3 or 6]
    rows = [
        f"{symbol} {_fixed(row, 5)}"
        for symbol, row in zip(atoms.get_chemical_symbols(), numbers, strict=True)
    ]
    return "\n".join([str(len(atoms)), " ".join(heading), *rows]) + "\n"


def _fixed(values: NDArray[np.float64], digits: int) -> str:
    # adding zero turns -0.0 into 0.0
    return " ".join(f"{value:.{digits}f}" for value in np.round(values.ravel(), digits) + 0.0)
