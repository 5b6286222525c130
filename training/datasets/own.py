"""Reading a user's own file: the keys and units are those of `OwnData`; nothing is guessed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomfm_calc.errors import DataError, listing
from atomfm_calc.sample import Sample
from atomfm_calc.units import energy_factor, forces_factor, length_factor, stress_factor
from training.datasets.adapter import DatasetInfo, Split, matching_files
from training.datasets.readers.rows import ENDINGS, Row, endings, read_rows
from training.own_data import OwnData

Floats = NDArray[np.float64]

LABELS = ("energy", "forces", "stress")
PREFIX = "REF_"
"""Of the keys that are looked for first; then those that ASE gives to a calculator."""
VOIGT = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
"""Place of each component among ASE's six numbers xx, yy, zz, yz, xz, xy."""


@dataclass(frozen=True, kw_only=True)
class OwnRow:
    """One row of a user's file."""

    number: int
    """Place in the file, from 0."""
    sample: Sample | None
    """In eV and Å; labels may be missing or not finite; None if the row cannot be read."""
    keys: tuple[str, ...]
    """Every key of the row that could hold a label."""
    charge_is_stated: bool
    """Whether the row says its total charge."""
    multiplicity_is_stated: bool
    """Whether the row says its multiplicity."""
    problem: str
    """Why it cannot be read; empty if it can."""


def read_own(own: OwnData, path: Path | None = None) -> Iterator[OwnRow]:
    """Rows of a file, those that cannot be read included.

    Args:
        own: keys and units.
        path: one file of a folder `own.path`; None: `own.path` itself.

    Raises:
        DataError: no such file, or one that cannot be opened.
        UnknownNameError: an ending of no known format.
    """
    path = own.path if path is None else path
    for row in read_rows(path):
        sample, problem = None, row.problem
        if row.structure is not None:
            try:
                sample = _sample(row, row.structure, own, f"{path.name}#{row.number}")
            except (ValueError, TypeError) as error:
                problem = str(error)
        yield OwnRow(
            number=row.number,
            sample=sample,
            keys=tuple(sorted(row.values)),
            charge_is_stated=row.charge_is_stated,
            multiplicity_is_stated=row.multiplicity_is_stated,
            problem=problem,
        )


def no_labels(own: OwnData, keys: tuple[str, ...]) -> str:
    """What to write where none of the keys of the labels is there."""
    wanted = {name: _names(own, name) for name in LABELS}
    tried = listing(key for names in wanted.values() for key in names)
    return (
        f"no energy, forces or stress under the keys {tried}; it has the keys: {listing(keys)}. "
        "Name those that hold labels with energy_key, forces_key and stress_key (on the command "
        "line: --keys energy=KEY), or write REF_energy, REF_forces and REF_stress"
    )


def _names(own: OwnData, label: str) -> tuple[str, ...]:
    chosen = {"energy": own.energy_key, "forces": own.forces_key, "stress": own.stress_key}[label]
    return (PREFIX + label, label) if chosen is None else (chosen,)


def _sample(row: Row, structure: Sample, own: OwnData, source: str) -> Sample:
    length = length_factor(own.length_unit)
    group = "" if own.group_key is None else _group(row.values, own.group_key)
    sized = replace(
        structure,
        positions=structure.positions * length,
        cell=structure.cell * length,
        source=source,
        group=group,
    )
    return replace(sized, targets=_targets(row.values, own, sized))


def _group(values: Mapping[str, Any], key: str) -> str:
    if key not in values:
        raise DataError(f"it has no key {key!r} to group by; it has: {listing(sorted(values))}")
    return str(values[key])


def _targets(values: Mapping[str, Any], own: OwnData, sample: Sample) -> dict[str, Floats]:
    found: dict[str, Floats] = {}
    for label in LABELS:
        name = next((key for key in _names(own, label) if key in values), None)
        if name is not None:
            try:
                found[label] = np.asarray(values[name], dtype=np.float64)
            except (ValueError, TypeError) as error:
                raise DataError(f"{name} holds {str(values[name])[:60]!r}, no numbers") from error
    if "energy" in found:
        found["energy"] = _shaped("energy", found["energy"], ()) * energy_factor(own.energy_unit)
    if "forces" in found:
        forces = _shaped("forces", found["forces"], (sample.n_atoms, 3))
        found["forces"] = forces * forces_factor(own.forces_unit)
    if "stress" in found:
        found["stress"] = _stress(found["stress"], own, sample)
    return found


def _shaped(label: str, value: Floats, shape: tuple[int, ...]) -> Floats:
    if value.size != int(np.prod(shape)):
        raise DataError(f"{label} has shape {value.shape}, not {shape}")
    return value.reshape(shape)


def _stress(value: Floats, own: OwnData, sample: Sample) -> Floats:
    """[3, 3] eV/Å³, tension positive, from six or nine numbers in the file's meaning."""
    if value.size == 6:
        value = value.reshape(6)[VOIGT]
    value = _shaped("stress (nine or ASE's six numbers)", value, (3, 3))
    if own.stress_is == "virial":
        volume = abs(float(np.linalg.det(sample.cell)))
        if volume == 0.0:
            raise DataError("it has a virial but no cell to divide it by")
        return -value * energy_factor(own.energy_unit) / volume
    sign = -1.0 if own.stress_sign == "compression positive" else 1.0
    return sign * value * stress_factor(own.stress_unit)


@dataclass(frozen=True, kw_only=True)
class OwnFile:
    """The dataset of a user's file; `root` is the file itself or a folder of such files."""

    info: DatasetInfo
    """What it is."""
    data: OwnData | None = None
    """Keys and units; None: those of `OwnData` without further words."""

    def described_by(self, own: OwnData) -> OwnFile:
        """The same with other keys and units; rows of a group are held out together."""
        split = self.info.split if own.group_key is None else "group"
        return replace(self, data=own, info=replace(self.info, split=split))

    def files(self, root: Path) -> list[Path]:
        """The file, or all files of a folder that can be read, by name."""
        if root.is_file():
            return [root]
        patterns = tuple(f"*.{ending}" for ending in ENDINGS)
        return matching_files(root, patterns, f"holds none that ends in {endings()}")

    def count(self, path: Path) -> int:
        """Number of rows."""
        return sum(1 for _ in read_rows(path))

    def read(self, path: Path, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
        """As `Dataset.read`; a row without any label is an error that lists its keys."""
        own = OwnData(path=path) if self.data is None else self.data
        for row in itertools.islice(read_own(own, path), start, stop):
            if row.sample is None:
                raise DataError(f"{path}#{row.number} cannot be read: {row.problem}")
            if not row.sample.targets:
                raise DataError(f"{path}#{row.number} has {no_labels(own, row.keys)}")
            yield row.sample

    def published_split(self, path: Path) -> Split | None:
        """None: a user's file comes without a split."""
        return None
