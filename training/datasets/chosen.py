"""The dataset of a name, with the keys and units of a user's file where it is one."""

from __future__ import annotations

from atomfm_calc.errors import ConfigError, lookup
from training.datasets import DATASETS
from training.datasets.adapter import Dataset
from training.datasets.own import OwnFile
from training.own_data import OwnData

OWN_FILE = "extxyz"
"""Name of the dataset of a user's files, of whichever format."""


def chosen_dataset(name: str, own: OwnData | None = None) -> Dataset:
    """The entry of `DATASETS`.

    Args:
        name: key of `DATASETS`.
        own: what the numbers of a user's file mean; None: as `OwnData` begins, or as the authors
            of the dataset say.

    Raises:
        UnknownNameError: no such dataset.
        ConfigError: keys and units for files that are not the user's.
    """
    dataset = lookup(DATASETS, name, "dataset")
    if own is None:
        return dataset
    if not isinstance(dataset, OwnFile):
        raise ConfigError(
            f"the keys and units of dataset {name!r} are those of its authors; own ones are for "
            f"dataset {OWN_FILE!r} (with any head)"
        )
    return dataset.described_by(own)
