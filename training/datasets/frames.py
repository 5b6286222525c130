"""`Frame` -> `Sample`: labels in eV and Å, which of them a source promises, charge and spin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase.stress import voigt_6_to_full_3x3_stress
from numpy.typing import NDArray

from atomfm_calc.errors import DataError, listing
from atomfm_calc.sample import Sample
from atomfm_calc.units import energy_factor, forces_factor, length_factor, stress_factor
from training.datasets.adapter import Units
from training.datasets.readers.frame import Frame

ENERGY_AND_FORCES = ("energy", "forces")


def labeled_sample(
    frame: Frame,
    units: Units,
    promised: Sequence[str] = ENERGY_AND_FORCES,
    charge_and_multiplicity: tuple[int, int] = (0, 1),
    group: str = "",
) -> Sample:
    """A sample with `energy` and, if the file has them, `forces` and `stress`.

    The energy is ASE's `energy`: of a calculation with smeared occupations the one extrapolated to
    zero width, of which forces are the derivative up to that extrapolation. `free_energy` is not
    read.

    Args:
        frame: in the units of the file.
        units: of the file.
        promised: labels that the source gives with every structure. A record without one of them
            is no such structure (a test set without labels, a damaged file) and not a sample.
        charge_and_multiplicity: total charge in e and 2S+1.
        group: what is held out together.

    Raises:
        DataError: a promised label is missing.
    """
    missing = [name for name in promised if name not in frame.results]
    if missing:
        raise DataError(
            f"the record has no {listing(missing)}, which every labeled one has; "
            f"it has: {listing([*frame.results, *frame.info])}"
        )
    length = length_factor(units.length)
    targets: dict[str, NDArray[np.float64]] = {}
    for name, factor in (
        ("energy", energy_factor(units.energy)),
        ("forces", forces_factor(units.forces)),
    ):
        if name in frame.results:
            targets[name] = frame.results[name] * factor
    if "energy" in targets:
        targets["energy"] = targets["energy"].reshape(())
    if "stress" in frame.results and units.stress != "none":
        targets["stress"] = full_stress(frame.results["stress"]) * signed_factor(units.stress)
    charge, multiplicity = charge_and_multiplicity
    return Sample(
        atomic_numbers=frame.atomic_numbers,
        positions=frame.positions * length,
        cell=frame.cell * length,
        pbc=frame.pbc,
        charge=charge,
        multiplicity=multiplicity,
        targets=targets,
        group=group,
    )


def signed_factor(stress: str) -> float:
    """eV/Å³, tension positive, per `Units.stress`, such as "kbar, compression positive"."""
    unit, _, sign = stress.partition(", ")
    if sign not in ("tension positive", "compression positive"):
        raise DataError(f"units say stress is {stress!r}; after the unit comes its sign")
    return stress_factor(unit) * (1.0 if sign == "tension positive" else -1.0)


def full_stress(stress: NDArray[np.float64]) -> NDArray[np.float64]:
    """[3, 3] from nine numbers or from ASE's six: xx, yy, zz, yz, xz, xy."""
    if stress.size == 6:
        return np.asarray(voigt_6_to_full_3x3_stress(stress.reshape(6)))
    return stress.reshape(3, 3)


def charge_and_spin(frame: Frame) -> tuple[int, int]:
    """Total charge in e and multiplicity 2S+1 from the keys `charge` and `spin` of OMol25.

    Raises:
        DataError: a key is missing or no whole number, or the electrons of the structure cannot
            have this multiplicity.
    """
    charge, multiplicity = (_whole_number(frame, key) for key in ("charge", "spin"))
    electrons = int(frame.atomic_numbers.sum()) - charge
    if multiplicity < 1 or (electrons - multiplicity + 1) % 2:
        raise DataError(
            f"{electrons} electrons (charge {charge}) cannot have the multiplicity "
            f"{multiplicity} that the record gives as spin"
        )
    return charge, multiplicity


def _whole_number(frame: Frame, key: str) -> int:
    if key not in frame.info:
        raise DataError(f"the record does not say its {key}; it has: {listing(frame.info)}")
    value = np.asarray(frame.info[key])
    if value.size != 1 or value.dtype.kind not in "iuf" or float(value.reshape(())) % 1:
        raise DataError(f"{key} is {frame.info[key]!r}; it must be one whole number")
    return int(value.reshape(()))
