"""Structures and stress as pymatgen writes them to JSON, without pymatgen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample
from atomfm_calc.units import stress_factor

NUMBER_OF = {**atomic_numbers, "D": 1, "T": 1}
"""By the symbols of pymatgen, which has isotopes; they have the electrons of the element."""


def sample_of_structure(structure: Mapping[str, Any]) -> Sample:
    """A `pymatgen.core.Structure` as dict -> sample without labels.

    Positions are computed from the fractional coordinates, which every version of pymatgen writes.
    A lattice without `pbc`, as versions before 2022 wrote it, is periodic in three directions.

    Raises:
        DataError: a site that is shared by species or partly empty, or of unknown species; a total
            charge that is no whole number.
        KeyError: no lattice or no sites.
    """
    lattice = structure["lattice"]
    cell = np.array(lattice["matrix"], dtype=np.float64)  # [3, 3] rows are the lattice vectors
    fractional = [site["abc"] for site in structure["sites"]]
    charge = structure.get("charge") or 0
    if int(charge) != charge:
        raise DataError(f"the total charge is {charge}; it must be a whole number")
    return Sample(
        atomic_numbers=np.array([_atomic_number(site) for site in structure["sites"]], np.int64),
        positions=np.array(fractional, dtype=np.float64).reshape(-1, 3) @ cell,
        cell=cell,
        pbc=np.array(lattice.get("pbc") or (True, True, True), dtype=bool),
        charge=int(charge),
    )


def site_property(structure: Mapping[str, Any], name: str) -> list[Any] | None:
    """A property of all sites in their order; None if a site does not have it."""
    values = [(site.get("properties") or {}).get(name) for site in structure["sites"]]
    return None if any(value is None for value in values) else values


def stress_of_vasp(kbar: Any, sample: Sample) -> NDArray[np.float64] | None:
    """Stress in eV/Å³, tension positive, of a stress printed by VASP (kbar, compression positive).

    Args:
        kbar: [3, 3]; None if there is none.
        sample: the structure; a layer or a wire in vacuum has no stress in our sense.
    """
    if kbar is None or not sample.pbc.all():
        return None
    return -stress_factor("kbar") * np.asarray(kbar, dtype=np.float64)


def _atomic_number(site: Mapping[str, Any]) -> int:
    (species, *others) = site["species"]
    if others or species.get("occu", 1) != 1:
        raise DataError(f"a site holds {site['species']}; only ordered structures can be learned")
    symbol = species["element"]
    if symbol not in NUMBER_OF:
        raise DataError(f"a site holds {symbol!r}, which is no chemical element")
    return NUMBER_OF[symbol]
