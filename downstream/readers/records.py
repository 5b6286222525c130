"""Records of a published file -> samples, with file and record in every error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample
from training.datasets.adapter import named_record

Record = TypeVar("Record")


def samples_of(
    path: Path,
    records: Callable[[Path], Iterator[Record]],
    sample_of: Callable[[int, Record], Sample | None],
) -> Iterator[Sample]:
    """Samples of one file, in its order.

    Args:
        path: the file.
        records: how it is read.
        sample_of: number of the record, from 0, and the record -> its sample; None leaves it out.

    Raises:
        DataError: the file or a record cannot be read; names file and record.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}; the recipe's README says how to get it")
    number = 0
    with named_record(path, None):
        iterator = records(path)
    while True:
        with named_record(path, number):
            record = next(iterator, None)
            if record is None:
                return
            sample = sample_of(number, record)
        if sample is not None:
            yield sample
        number += 1


def scalar(value: Any, name: str, factor: float = 1.0) -> NDArray[np.float64]:
    """A number, or true and false as 1 and 0, times `factor`, as an array of shape ().

    Raises:
        DataError: no number, or one that is not finite.
    """
    is_number = isinstance(value, bool | int | float | np.number)
    if not is_number or not np.isfinite(float(value)):
        raise DataError(f"{name} is {str(value)[:60]!r}; it must be a finite number")
    return np.asarray(float(value) * factor)
