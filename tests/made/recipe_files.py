"""Miniatures of the public files of every recipe, laid out as their authors do."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import tarfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.io.trajectory import Trajectory

from tests.made.public_files_h5_json import structure

N_ROWS = 7
QM9_NAMES = "mu alpha homo lumo gap r2 zpve U0 U H G Cv".split()
WATER = [
    ["O", "0.0", "0.0", "1.2*^-1"],
    ["H", "0.0", "7.6*^-1", "-0.47"],
    ["H", "0.0", "-0.76", "-0.47"],
]


def matbench(name: str, column: str, values: Sequence[Any], folder: Path) -> Path:
    """A table of structures as pandas splits it, in .json.gz."""
    rows = [[structure() | {"charge": None}, value] for value in values]
    table = {"index": list(range(len(rows))), "columns": ["structure", column], "data": rows}
    return _bytes(folder / f"matbench_{name}.json.gz", gzip.compress(json.dumps(table).encode()))


def qm9(folder: Path) -> Path:
    """An archive of water, again and again, with other values each; the third is left out."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for index in range(1, N_ROWS + 2):
            text = _qm9_molecule(index).encode()
            member = tarfile.TarInfo(f"dsgdb9nsd_{index:06d}.xyz")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    heading = [f"heading {number}" for number in range(9)]
    listed = ["     3   O   O   O   O", "1 compounds", ""]
    _bytes(folder / "uncharacterized.txt", "\n".join([*heading, *listed]).encode())
    return _bytes(folder / "dsgdb9nsd.xyz.tar.bz2", bz2.compress(buffer.getvalue()))


def _qm9_molecule(index: int) -> str:
    values = [f"{0.1 * number + 0.01 * index:.4f}" for number in range(len(QM9_NAMES))]
    values[QM9_NAMES.index("U0")] = f"-76.{index}"
    rows = ["\t".join([*row, "0.1"]) for row in WATER]
    line = "\t".join(["gdb " + str(index), "799.5", "437.9", "282.9", *values])
    return "\n".join(["3", line, *rows, "1671.4\t3803.6\t3907.7", "O\tO", "InChI=1\tInChI=1", ""])


def rmd17(folder: Path) -> Path:
    """Ethanol's file with twelve frames of two atoms, and five splits of three and two."""
    rng = np.random.default_rng(0)
    arrays = {
        "nuclear_charges": np.array([6, 8], dtype=np.uint8),
        "coords": rng.normal(size=(12, 2, 3)),
        "energies": np.arange(12) - 97000.0,
        "forces": rng.normal(size=(12, 2, 3)),
        "old_indices": np.arange(12),
        "old_energies": np.zeros(12),
        "old_forces": np.zeros((12, 2, 3)),
    }
    path = folder / "rmd17/npz_data/rmd17_ethanol.npz"
    path.parent.mkdir(parents=True)
    np.savez(path, **arrays)
    for split in range(5):
        frames = np.arange(split, split + 5)
        for part, chosen in (("train", frames[:3]), ("test", frames[3:])):
            text = "\n".join(map(str, chosen)) + "\n"
            _bytes(folder / f"rmd17/splits/index_{part}_{split + 1:02d}.csv", text.encode())
    return path


def wiggle150(folder: Path) -> Path:
    """Two molecules, each with its ground state and three strained conformers."""
    frames = []
    for molecule, ground in (("ado", -603984.7), ("efa", -882000.25)):
        for number in range(4):
            rows = [f"C 0.0 0.0 {number / 10}", "O 0.0 0.0 1.2"]
            frames += ["2", f"{molecule}_{number:02d} {ground + 10 * number}", *rows]
    return _bytes(folder / "ct5c00015_si_003.xyz", "\n".join([*frames, ""]).encode())


def ms25(folder: Path) -> Path:
    """A system with training, validation and test file."""
    inside = folder / "set1"
    inside.mkdir(parents=True)
    for name, n_frames in (("train-1000", 4), ("val", 2), ("test", 3)):
        with Trajectory(str(inside / f"{name}.traj"), "w") as trajectory:
            for number in range(n_frames):
                atoms = Atoms("MgO", [[0, 0, 0], [0, 0, 2.1 + number / 10]], cell=[4] * 3, pbc=True)
                atoms.calc = SinglePointCalculator(
                    atoms, energy=-10.0 - number, forces=np.full((2, 3), 0.5)
                )
                trajectory.write(atoms)
    return inside / "test.traj"


def oqmd(folder: Path) -> Path:
    """A page of the interface."""
    entries = [
        {
            "entry_id": 4061139 + number,
            "unit_cell": [[4.0, 0.0, 0.0], [1.0, 3.0, 0.0], [0.0, 0.5, 5.0]],
            "sites": ["Na @ 0 0 0", "Cl @ 0.5 0.5 0.25"],
            "delta_e": -1.5 - number / 8,
        }
        for number in range(N_ROWS)
    ]
    page = {"links": {"next": None}, "resource": {}, "data": entries, "meta": {}}
    return _bytes(folder / "oqmd_000000.json", json.dumps(page).encode())


def materials_project(folder: Path) -> Path:
    """An answer with summary documents; the last one has no band gap."""
    documents: list[dict[str, Any]] = [
        {
            "material_id": f"mp-{number}",
            "structure": structure(),
            "formation_energy_per_atom": -number / 4,
            "band_gap": number / 2,
        }
        for number in range(N_ROWS)
    ]
    documents[-1]["band_gap"] = None
    answer = {"data": documents, "meta": {"total_doc": N_ROWS}}
    return _bytes(folder / "summary_Na-Cl.json", json.dumps(answer).encode())


def abc3(folder: Path) -> Path:
    """The table without its last compound's energy and with one that has no structure."""
    heading = "mp_id,formula,sites,formation_energy (eV/atom),energy_above_hull (eV/atom)"
    rows = [f"mp-{number},NaCl3,4,{-1 - number / 8},0.0" for number in range(N_ROWS - 1)]
    rows += [f"mp-{N_ROWS - 1},NaCl3,4,,0.0", "mp-999,KCl3,4,-1.0,0.0"]
    _bytes(folder / "abc3_data.csv", "\n".join([heading, *rows, ""]).encode())
    return materials_project(folder)


def extended_xyz(name: str, keys: Sequence[str], folder: Path) -> Path:
    """Frames with values under the given names, or a potential's labels if there are none."""
    frames = []
    for number in range(N_ROWS):
        atoms = Atoms("NaCl", [[0, 0, 0], [0, 0, 2.3 + number / 10]], cell=[5] * 3, pbc=True)
        if keys:
            atoms.info |= dict.fromkeys(keys, number + 0.25)
        else:
            atoms.info["REF_energy"] = -3.0 - number
            atoms.arrays["REF_forces"] = np.full((2, 3), number / 10)
        frames.append(atoms)
    buffer = io.StringIO()
    write(buffer, frames, format="extxyz")
    return _bytes(folder / name, gzip.compress(buffer.getvalue().encode()))


def _qm9_slice(folder: Path) -> Path:
    keys = ("homo_eV", "lumo_eV", "homo_lumo_gap_eV")
    extended_xyz("qm9_deepmd_subset.extxyz.gz", keys, folder)
    return extended_xyz("qm9_reduced_100.extxyz.gz", keys, folder)


def _bytes(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


NUMBERS = [0.5, 1.5, 2.5, 4.0, 3.0, 1.0, 2.0, 2.25, 1.75, 3.5]
MATBENCH = {
    "jdft2d": "exfoliation_en",
    "phonons": "last phdos peak",
    "dielectric": "n",
    "log_gvrh": "log10(G_VRH)",
    "log_kvrh": "log10(K_VRH)",
    "perovskites": "e_form",
    "mp_gap": "gap pbe",
    "mp_e_form": "e_form",
}
ELASTICITY = "matcalc_mp_binary_elasticity_train.extxyz.gz"
HEAT = ("heat_of_formation_ref_eV_per_cell",)

RECIPE_FILES: dict[str, Callable[[Path], Path]] = {
    **{
        f"matbench-{name.replace('_', '-')}": partial(matbench, name, column, NUMBERS)
        for name, column in MATBENCH.items()
    },
    "matbench-mp-is-metal": partial(matbench, "mp_is_metal", "is_metal", [True, False] * 6),
    "qm9": qm9,
    "rmd17": rmd17,
    "wiggle150": wiggle150,
    "ms25": ms25,
    "oqmd": oqmd,
    "abc3": abc3,
    "materials-project": materials_project,
    "slice-perovskites": partial(extended_xyz, "cdvae_perov5_val.extxyz.gz", HEAT),
    "slice-log-kvrh": partial(extended_xyz, ELASTICITY, ("log10_bulk_modulus_vrh",)),
    "slice-log-gvrh": partial(extended_xyz, ELASTICITY, ("log10_shear_modulus_vrh",)),
    "slice-metals": partial(extended_xyz, "fairchem_au_clusters.extxyz.gz", ()),
    "slice-organics": partial(extended_xyz, "qml_amons_train.extxyz.gz", ()),
    "slice-qm9": _qm9_slice,
}
"""Writes the public files of a recipe below a folder and returns the one with the structures."""
