"""Miniatures of published files in JSON, HDF5 and TFRecord, laid out as their authors do."""

from __future__ import annotations

import bz2
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

LATTICE = [[4.0, 0.0, 0.0], [1.0, 3.0, 0.0], [0.0, 0.5, 5.0]]
FRACTIONAL = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.25]]
FORCES = [[0.1, -0.2, 0.3], [-0.1, 0.2, -0.3]]
STRESS_KBAR = [[500.0, 4.0, 5.0], [4.0, 600.0, 6.0], [5.0, 6.0, 700.0]]
POSITIONS = np.array([[0.0, 0.0, 0.1], [0.0, 0.8, -0.5], [0.0, -0.8, -0.5]])


def structure(forces: Any = None, pbc: list[bool] | None = None) -> dict[str, Any]:
    """Sodium and chlorine as `pymatgen.core.Structure.as_dict` writes them."""
    lattice: dict[str, Any] = {"matrix": LATTICE, "a": 4.0, "volume": 60.0}
    lattice |= {} if pbc is None else {"pbc": pbc}
    sites = []
    for number, (symbol, place) in enumerate(zip(("Na", "Cl"), FRACTIONAL, strict=True)):
        properties = {"magmom": 0.0} | ({} if forces is None else {"forces": forces[number]})
        species = [{"element": symbol, "occu": 1}]
        xyz = (np.array(place) @ np.array(LATTICE)).tolist()
        sites.append(
            {
                "species": species,
                "abc": place,
                "xyz": xyz,
                "label": symbol,
                "properties": properties,
            }
        )
    module = {"@module": "pymatgen.core.structure", "@class": "Structure"}
    return {**module, "charge": 0, "lattice": lattice, "sites": sites}


def _entry(material: str, atoms: dict[str, Any], energy: float, stress: Any) -> dict[str, Any]:
    data = {"mat_id": material, "formula": "NaCl", "energy_total": energy, "e_form": -1.9}
    data |= {"energy_corrected": energy - 0.7, "e_above_hull": 0.01, "stress": stress}
    entry = {"@class": "ComputedStructureEntry", "energy": energy, "correction": 0.0}
    return {**entry, "composition": {"Na": 1.0, "Cl": 1.0}, "data": data, "structure": atoms}


def alexandria(folder: Path) -> Path:
    """Two crystals, a layer without forces, and files that repeat them or are of other theory."""
    crystals = [
        _entry("agm001", structure(FORCES), -6.75, STRESS_KBAR),
        _entry("agm002", structure(FORCES, [True] * 3), -6.25, None),
    ]
    unknown = [[None, 0.0, 0.0], [0.0, 0.0, 0.0]]
    layer = [_entry("agm2d1", structure(unknown, [True, True, False]), -5.5, STRESS_KBAR)]
    for name, entries in {
        "pbe/alexandria_000": crystals,
        "pbe_2d/alexandria_2d_000": layer,
        "pbe/convex_hull_pbe_2024.12.15": crystals[:1],
        "pbesol/alexandria_ps_000": crystals[:1],
    }.items():
        path = folder / f"{name}.json.bz2"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bz2.compress(json.dumps({"entries": entries}).encode()))
    return folder


def mptrj(folder: Path) -> Path:
    """Two materials of two frames and one; the last frame has no stress and no magnetic moments."""
    folder.mkdir(parents=True, exist_ok=True)
    frame = {
        "structure": structure(),
        "uncorrected_total_energy": -6.5,
        "corrected_total_energy": -7.25,
        "energy_per_atom": -3.625,
        "ef_per_atom": -1.9,
        "force": FORCES,
        "stress": STRESS_KBAR,
        "magmom": [0.0, 0.1],
        "bandgap": 5.0,
    }
    later = {**frame, "corrected_total_energy": -7.5}
    bare = {**frame, "stress": None, "magmom": None}
    content = {
        "mp-22862": {"mp-22862-1-0": frame, "mp-22862-1-1": later},
        "mp-30": {"mp-30-0-0": bare},
    }
    (folder / "MPtrj_2022.9_full.json").write_text(json.dumps(content))
    return folder


def ani1x(folder: Path) -> Path:
    """Two formulas; the second conformer of water has no forces, the third has no label at all."""
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / "ani1x-release.h5", "w") as file:
        for formula, numbers, count in (("H1", [1], 1), ("H2O1", [8, 1, 1], 3)):
            group = file.create_group(formula)
            energies = -76.0 - 0.25 * np.arange(count)
            forces = np.full((count, len(numbers), 3), 0.5, dtype=np.float32)
            energies[2:], forces[1:] = np.nan, np.nan
            places = np.stack([POSITIONS[: len(numbers)] + row for row in range(count)])
            group["atomic_numbers"] = np.array(numbers, dtype=np.uint8)
            group["coordinates"] = places.astype(np.float32)
            group["wb97x_dz.energy"], group["wb97x_dz.forces"] = energies, forces
            group["ccsd(t)_cbs.energy"] = np.full(count, np.nan)
    return folder


def qm7x(folder: Path) -> Path:
    """Two files of a molecule each; one conformer is listed as a duplicate."""
    folder.mkdir(parents=True, exist_ok=True)
    structures = {
        "1000.hdf5": ("23", ("Geom-m23-i1-c1-d1", "Geom-m23-i1-c1-opt", "Geom-m23-i1-c10-opt")),
        "2000.hdf5": (
            "1701",
            ("Geom-m1701-i1-c1-opt", "Geom-m1701-i2-c1-d1", "Geom-m1701-i2-c1-opt"),
        ),
    }
    for name, (molecule, conformations) in structures.items():
        with h5py.File(folder / name, "w") as file:
            for number, conformation in enumerate(conformations):
                group = file.create_group(f"{molecule}/{conformation}")
                group["atNUM"], group["atXYZ"] = np.array([8, 1, 1]), POSITIONS + number
                group["ePBE0"], group["ePBE0+MBD"] = [-2079.5], [-2079.75 - number]
                group["pbe0FOR"], group["totFOR"] = np.zeros((3, 3)), np.full((3, 3), 0.125)
    (folder / "DupMols.dat").write_text("Geom-m1701-i2-c1-opt\n")
    return folder


def transition1x(folder: Path) -> Path:
    """Two reactions of a formula, of three images and two; end points and splits repeat them."""
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / "Transition1x.h5", "w") as file:
        for reaction, count in (("rxn0001", 3), ("rxn0002", 2)):
            group = file.create_group(f"data/H2O/{reaction}")
            _band(group, count)
            for place in ("reactant", "product", "transition_state"):
                _band(group.create_group(place), 1)
            split = "train" if reaction == "rxn0001" else "test"
            file[f"{split}/H2O/{reaction}"] = h5py.SoftLink(group.name)
    return folder


def _band(group: h5py.Group, count: int) -> None:
    group["atomic_numbers"] = np.array([8, 1, 1])
    group["positions"] = np.stack([POSITIONS + image for image in range(count)])
    group["wB97x_6-31G(d).energy"] = -2080.0 + np.arange(count)
    group["wB97x_6-31G(d).forces"] = np.stack([np.full((3, 3), 0.5 * i) for i in range(count)])


def qcml(folder: Path) -> Path:
    """A cation, a triplet, and a molecule that the authors flag as an outlier."""
    shard = folder / "qcml" / "dft_force_field" / "1.0.0" / "qcml-full.tfrecord-00000-of-00001"
    other = folder / "qcml" / "dft_positions" / "1.0.0" / shard.name
    examples = [qcml_example(1, 2, 0), qcml_example(0, 3, 0), qcml_example(0, 1, 1)]
    for path in (shard, other):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"".join(tfrecord(example) for example in examples))
    return folder


def qcml_example(charge: int, multiplicity: int, is_outlier: int) -> bytes:
    """One `tf.train.Example` of the feature group `dft_force_field`; positions in bohr."""
    return tf_example(
        {
            "key_hash": b"a1b2",
            "atomic_numbers": [8, 1, 1],
            "positions": POSITIONS.ravel().tolist(),
            "pbe0_energy": [-76.25],
            "pbe0_formation_energy": [-0.375],
            "pbe0_forces": [0.25] * 9,
            "charge": [charge],
            "multiplicity": [multiplicity],
            "is_outlier": [is_outlier],
        }
    )


def tf_example(features: Mapping[str, bytes | list[int] | list[float]]) -> bytes:
    """A `tf.train.Example` in protobuf's wire format, written by hand."""
    entries = b""
    for name, value in features.items():
        if isinstance(value, bytes):
            feature = _field(1, _field(1, value))
        elif isinstance(value[0], int):
            feature = _field(3, _field(1, b"".join(_varint(int(number)) for number in value)))
        else:
            feature = _field(2, _field(1, struct.pack(f"<{len(value)}f", *value)))
        entries += _field(1, _field(1, name.encode()) + _field(2, feature))
    return _field(1, entries)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    number &= 2**64 - 1  # negative numbers are written as their two's complement
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def tfrecord(data: bytes) -> bytes:
    """Length, its checksum, data, their checksum."""
    length = struct.pack("<Q", len(data))
    return length + _masked_crc32c(length) + data + _masked_crc32c(data)


def _masked_crc32c(data: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)  # Castagnoli's polynomial, reflected
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
