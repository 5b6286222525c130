"""Miniatures of public files in ASE's formats, written as their sources write them.

LMDB databases are written byte by byte from the layout that the sources use (decimal ids as keys,
compressed JSON as values, `nextid` and `deleted_ids`), not with the package that reads them.
"""

from __future__ import annotations

import json
import lzma
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.db import connect
from ase.io.trajectory import Trajectory

CELL = np.array([[3.0, 0.0, 0.0], [0.5, 4.0, 0.0], [0.0, 0.0, 12.0]])
NUMBERS = np.array([29, 8, 1])
POSITIONS = np.array([[0.0, 0.1, 0.2], [0.3, 0.4, 2.1], [0.5, 0.6, 3.0]])
FORCES = np.array([[0.1, 0.2, 0.3], [-0.4, 0.5, 0.6], [0.7, -0.8, 0.9]])
ENERGY, FREE_ENERGY = -181.54722937, -181.54878652
STRESS = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06)
"""xx, yy, zz, yz, xz, xy in eV/Å³"""
FAR = 60.0
"""A force in eV/Å that the authors of OC22 left out."""
HARTREE = 27.211386
"""eV, to the digits that tests need"""


def _jsonable(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {"__ndarray__": [list(value.shape), str(value.dtype), value.ravel().tolist()]}
    if isinstance(value, Mapping):
        return {key: _jsonable(entry) for key, entry in value.items()}
    return value


def write_aselmdb(
    path: Path, rows: Sequence[Mapping[str, Any]], deleted: Sequence[int] = ()
) -> None:
    """One row per id from 1 on; ids in `deleted` are passed over, as if they had been removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    identifier = 0
    stored: dict[str, Any] = {}
    for row in rows:
        identifier += 1
        while identifier in deleted:
            identifier += 1
        stored[str(identifier)] = row
    stored |= {"nextid": identifier + 1, "deleted_ids": list(deleted), "metadata": {"made": True}}
    with (
        lmdb.open(str(path), subdir=False, map_size=2**20) as environment,
        environment.begin(write=True) as transaction,
    ):
        for key, value in stored.items():
            text = json.dumps(_jsonable(value))
            transaction.put(key.encode("ascii"), zlib.compress(text.encode("utf-8")))


def lmdb_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    """A periodic structure with one fixed atom and labels that tell the row's number."""
    row: dict[str, Any] = {
        "numbers": NUMBERS,
        "positions": POSITIONS + number,
        "cell": CELL,
        "pbc": np.array([True, True, True]),
        "energy": ENERGY - number,
        "free_energy": FREE_ENERGY - number,
        "forces": FORCES + number,
        "calculator": "unknown",
        "calculator_parameters": {},
        "constraints": [{"name": "FixAtoms", "kwargs": {"indices": [0]}}],
        "unique_id": f"{number:032x}",
        "ctime": 24.0,
        "mtime": 24.0,
        "user": "someone",
        "key_value_pairs": {},
        "data": {},
    }
    return row | changes


def molecule_row(number: int, charge: int, spin: int) -> dict[str, Any]:
    """OH with a charge and a multiplicity, as OMol25 stores a molecule."""
    data = {
        "source": f"omol/radicals/oh_{number}/orca.tar.zst",
        "data_id": "reactivity",
        "charge": charge,
        "spin": spin,
        "num_electrons": 9 - charge,
        "homo_energy": np.array([-8.5]),
    }
    return lmdb_row(
        number,
        numbers=NUMBERS[1:],
        positions=POSITIONS[1:] + number,
        forces=FORCES[1:] + number,
        cell=np.zeros((3, 3)),
        pbc=np.array([False, False, False]),
        constraints=[],
        data=data,
    )


def extxyz_frame(number: int = 0, energy: float = ENERGY, tags: bool = True) -> str:
    """A frame of OC20 (with tags and fixed atoms) or of ODAC23 (without)."""
    columns = ":move_mask:L:1:tags:I:1" if tags else ""
    lines = [
        "3",
        f'Lattice="{" ".join(map(str, CELL.ravel()))}" '
        f"Properties=species:S:1:pos:R:3{columns}:forces:R:3 "
        f'energy={energy - number} free_energy={FREE_ENERGY - number} pbc="T T T"',
    ]
    for symbol, position, force, fixed in zip(
        ("Cu", "O", "H"), POSITIONS + number, FORCES + number, "FTT", strict=True
    ):
        more = (fixed, 0 if fixed == "F" else 2) if tags else ()
        lines.append(" ".join(map(str, (symbol, *position, *more, *force))))
    return "\n".join(lines) + "\n"


def write_oc20(root: Path) -> Path:
    """Three frames of two systems to train, two to validate."""
    for folder, lines in (
        ("s2ef_train_200K", ("random12,frame0,-7.5", "random12,frame9,-7.5", "random3,frame4,2.0")),
        ("s2ef_val_id", ("random77,frame1,0.25", "random78,frame0,0.5")),
    ):
        place = root / folder / folder
        place.mkdir(parents=True)
        frames = "".join(extxyz_frame(number) for number in range(len(lines)))
        (place / "0.extxyz.xz").write_bytes(lzma.compress(frames.encode()))
        (place / "0.txt.xz").write_bytes(lzma.compress(("\n".join(lines) + "\n").encode()))
    return root


def write_oc22(root: Path) -> Path:
    """Two trajectories, of which one has a frame that the source left out; the lists of splits."""
    place = root / "oc22_trajectories" / "trajectories" / "oc22"
    (place / "raw_trajs").mkdir(parents=True)
    for name, largest in (("CuO_mp-1_clean_a1", (0.0, FAR, 0.0)), ("CuO_mp-1_b2_c3", (0.0, 0.0))):
        with Trajectory(str(place / "raw_trajs" / f"{name}.traj"), "w") as trajectory:
            for number, more in enumerate(largest):
                trajectory.write(labeled_atoms(number, FORCES + number + more))
    (place / "train_s2ef_t.txt").write_text("CuO_mp-1_clean_a1.traj\n")
    (place / "val_ood_s2ef_t.txt").write_text("CuO_mp-1_b2_c3.traj\n")
    return root


def labeled_atoms(number: int, forces: Any) -> Atoms:
    """The slab of the other miniatures as ASE holds it."""
    atoms = Atoms(NUMBERS, positions=POSITIONS + number, cell=CELL, pbc=True)
    atoms.set_constraint(FixAtoms([0]))
    atoms.calc = SinglePointCalculator(
        atoms, energy=ENERGY - number, free_energy=FREE_ENERGY - number, forces=forces
    )
    return atoms


def write_oc25(root: Path) -> Path:
    """Two slabs to train, one to validate."""
    write_aselmdb(root / "oc25" / "train" / "data0000.aselmdb", [lmdb_row(0), lmdb_row(1)])
    write_aselmdb(root / "oc25" / "val" / "data0000.aselmdb", [lmdb_row(2)])
    return root


def write_odac23(root: Path) -> Path:
    """One trajectory of two frames to train, one to validate."""
    for split, name in (("train", "ABAYIO_w_CO2_1"), ("val", "ZZGKEE_w_H2O_2")):
        (root / "odac23" / split).mkdir(parents=True)
        text = "".join(extxyz_frame(number, tags=False) for number in range(2))
        (root / "odac23" / split / f"{name}.extxyz").write_text(text)
    return root


def write_omat24(root: Path) -> Path:
    """Three crystals to train in one subset, with a deleted row, one to validate in another."""
    rows = [lmdb_row(number, stress=np.array(STRESS) + number) for number in range(4)]
    write_aselmdb(
        root / "omat24" / "train" / "rattled-300" / "data0000.aselmdb", rows[:3], deleted=(2,)
    )
    write_aselmdb(root / "omat24" / "val" / "aimd-from-PBE-1000-npt" / "data0000.aselmdb", rows[3:])
    return root


def write_omol25(root: Path) -> Path:
    """OH radical, hydroxide, OH cation in its triplet to train; a radical to validate."""
    rows = [molecule_row(0, 0, 2), molecule_row(1, -1, 1), molecule_row(2, 1, 3)]
    write_aselmdb(root / "omol25" / "train_4M" / "data0000.aselmdb", rows)
    write_aselmdb(root / "omol25" / "val" / "data0000.aselmdb", [molecule_row(3, 0, 2)])
    return root


def write_opoly2026(root: Path) -> Path:
    """A hydroxide to train, a radical to validate."""
    write_aselmdb(root / "opoly2026" / "train" / "data0000.aselmdb", [molecule_row(0, -1, 1)])
    write_aselmdb(root / "opoly2026" / "val" / "data0000.aselmdb", [molecule_row(1, 0, 2)])
    return root


def write_nabla2dft(root: Path, **metadata: Any) -> Path:
    """Two conformers of a molecule, the second without forces, and one of another to test."""
    root.mkdir(parents=True, exist_ok=True)
    for name, molecules in (
        ("train_2k_v2_formation_energy_w_forces.db", (1234, 1234)),
        ("test_full_scaffolds_v2_formation_energy_forces.db", (5678,)),
    ):
        with connect(root / name) as database:
            for number, molecule in enumerate(molecules):
                data: dict[str, Any] = {"energy": np.array([-0.5 - number])}
                if number == 0:
                    data["forces"] = FORCES[1:]
                atoms = Atoms(NUMBERS[1:], positions=POSITIONS[1:])
                database.write(atoms, moses_id=molecule, conformation_id=number, data=data)
            if metadata:
                database.metadata = metadata
    return root
