"""Labeled structures as gzip extended XYZ, in the key layout of the published files.

`info["REF_energy"]` eV, `arrays["REF_forces"]` eV/Å, `info["REF_stress"]` eV/Å³ (nine numbers,
tension positive), `info["charge"]`, `info["multiplicity"]`, `info["source"]`.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from atomfm_calc.files import write_at_once
from atomfm_calc.sample import Sample


def _floats(values: NDArray[np.float64], digits: int) -> str:
    return " ".join(f"{value:.{digits}f}" for value in values.ravel())


def _text(sample: Sample, position_decimals: int, force_decimals: int) -> str:
    targets = sample.targets
    heading = []
    if sample.pbc.any():
        heading.append(f'Lattice="{_floats(sample.cell, 8)}"')
    heading.append("Properties=species:S:1:pos:R:3:REF_forces:R:3")
    heading.append(f"REF_energy={float(targets['energy']):.9f}")
    if "stress" in targets:
        heading.append(f'REF_stress="{_floats(targets["stress"], 9)}"')
    heading.append(f"charge={sample.charge} multiplicity={sample.multiplicity}")
    heading.append(f'source="{sample.source}"')
    heading.append('pbc="{}"'.format(" ".join("T" if is_on else "F" for is_on in sample.pbc)))
    rows = [
        f"{chemical_symbols[number]} {_floats(position, position_decimals)}"
        f" {_floats(force, force_decimals)}"
        for number, position, force in zip(
            sample.atomic_numbers, sample.positions, targets["forces"], strict=True
        )
    ]
    return "\n".join([str(sample.n_atoms), " ".join(heading), *rows]) + "\n"


def write_shard(
    path: Path, samples: Iterable[Sample], position_decimals: int = 8, force_decimals: int = 7
) -> str:
    """Write labeled samples; the file appears whole or not at all; equal content, equal bytes.

    Args:
        path: `.extxyz.gz` file to create.
        samples: structures with energy and forces in `targets`, stress where it exists.
        position_decimals: of positions in Å; no fewer than they were rounded to.
        force_decimals: of forces in eV/Å.

    Returns:
        The SHA-256 of the file.
    """
    text = "".join(_text(sample, position_decimals, force_decimals) for sample in samples)
    # no time stamp and no name in the gzip header
    return write_at_once(gzip.compress(text.encode(), compresslevel=9, mtime=0), path)


def read_shard(path: Path) -> list[Sample]:
    """Samples of a shard, positions and cell with the bits that were written."""
    with gzip.open(path, "rt") as file:
        frames = ase.io.read(file, index=":", format="extxyz")
    return [_sample(atoms) for atoms in frames]


def _sample(atoms: Atoms) -> Sample:
    info: Mapping[str, Any] = atoms.info
    targets = {
        "energy": np.asarray(info["REF_energy"], dtype=np.float64),
        "forces": np.asarray(atoms.arrays["REF_forces"], dtype=np.float64),
    }
    if "REF_stress" in info:
        targets["stress"] = np.asarray(info["REF_stress"], dtype=np.float64).reshape(3, 3)
    return Sample(
        atomic_numbers=atoms.numbers.astype(np.int64),
        positions=atoms.positions.copy(),
        cell=np.array(atoms.cell),
        pbc=np.array(atoms.pbc),
        charge=int(info["charge"]),
        multiplicity=int(info["multiplicity"]),
        targets=targets,
        source=str(info["source"]),
    )
