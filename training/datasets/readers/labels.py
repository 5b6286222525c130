"""Labels of one record as targets; what a file marks as missing is no label."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomfm_calc.properties import PROPERTIES

Labels = dict[str, NDArray[np.float64]]


def labels(n_atoms: int, **values: Any) -> Labels:
    """Targets of a sample, without those that are missing.

    Args:
        n_atoms: of the structure.
        **values: by name of `PROPERTIES`, as numbers of any nesting, in eV, eV/Å, eV/Å³. None, or a
            NaN or None among the numbers, is the mark of a label that was never computed.

    Raises:
        ValueError: more or fewer numbers than the property has.
    """
    found: Labels = {}
    for name, value in values.items():
        if value is None:
            continue
        numbers = np.asarray(value, dtype=np.float64)
        if not np.isnan(numbers).any():
            found[name] = _shaped(name, numbers, n_atoms)
    return found


def _shaped(name: str, numbers: NDArray[np.float64], n_atoms: int) -> NDArray[np.float64]:
    info = PROPERTIES[name]
    shape = info.tail if info.level == "structure" else (n_atoms, *info.tail)
    if numbers.size != int(np.prod(shape)):
        raise ValueError(f"{name} has {numbers.size} numbers, the structure needs shape {shape}")
    return numbers.reshape(shape)
