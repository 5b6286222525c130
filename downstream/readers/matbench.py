"""Tasks of Matbench v0.1: tables of pymatgen structures in .json.gz, five official folds.

The folds are those of scikit-learn's `KFold` and, for classes, `StratifiedKFold` with five parts,
shuffled with the seed 18012019. They are computed here, without scikit-learn. The result was
compared with the structures in the authors' published results: for all regression tasks of v0.1 it
is the same, structure by structure; for mp_is_metal, glass and expt_is_metal, whose classes are not
in those results, the published order of the folds agrees with the computed order of each class.

Sources: Dunn et al., npj Comput. Mater. 6, 138 (2020); github.com/materialsproject/matbench.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample
from downstream.readers.records import samples_of, scalar
from downstream.splits import Fold
from training.datasets.readers.json_entries import TableRow, read_table
from training.datasets.readers.pymatgen_structure import sample_of_structure

N_FOLDS = 5
SEED = 18012019
"""Of the folds, in all tasks of Matbench v0.1."""


@dataclass(frozen=True, kw_only=True)
class MatbenchTask:
    """One table of Matbench."""

    name: str
    """Without the prefix: "mp_gap"."""
    column: str
    """Name of the value in the table."""
    target: str
    """Name of the value in the recipe."""
    n_structures: int
    """As published; identifiers have as many digits as this number."""
    is_classification: bool = False
    """Whether the value is true or false and the folds have equal parts of both."""

    @property
    def file_name(self) -> str:
        """As published."""
        return f"matbench_{self.name}.json.gz"

    def read(self, folder: Path) -> Iterator[Sample]:
        """Samples in the file's order, in the unit of the file; `source` is Matbench's identifier.

        Raises:
            DataError: no such file, or a row that cannot be read; names file and row.
        """
        return samples_of(folder / self.file_name, read_table, self._sample)

    def read_folds(self, folder: Path, samples: Sequence[Sample]) -> tuple[Fold, ...]:
        """The five official folds; `folder` is not needed, they follow from the order of the file.

        Raises:
            DataError: the samples are not all rows of the file, in its order.
        """
        for number, sample in enumerate(samples):
            if sample.source != self.identifier(number):
                raise DataError(
                    f"row {number} of {self.file_name} is called {sample.source!r}, not "
                    f"{self.identifier(number)!r}: the official folds are those of the whole "
                    "file in its order"
                )
        if self.is_classification:
            classes = np.array([int(sample.targets[self.target]) for sample in samples])
            parts = stratified_parts(classes)
        else:
            parts = random_parts(len(samples))
        sources = np.array([sample.source for sample in samples])
        return tuple(
            Fold(
                name=f"fold {part}",
                train=frozenset(sources[parts != part].tolist()),
                test=frozenset(sources[parts == part].tolist()),
            )
            for part in range(N_FOLDS)
        )

    def identifier(self, number: int) -> str:
        """Matbench's name of a row, counted from 0: "mb-jdft2d-001" for the first."""
        digits = len(str(self.n_structures))
        return f"mb-{self.name.replace('_', '-')}-{number + 1:0{digits}d}"

    def _sample(self, number: int, row: TableRow) -> Sample:
        missing = [name for name in ("structure", self.column) if name not in row.values]
        if missing:
            raise DataError(f"there is no column {missing[0]!r}; there are: {list(row.values)}")
        sample = sample_of_structure(row.values["structure"])
        value = scalar(row.values[self.column], self.column)
        # charges of pymatgen are oxidation states added up; all of Matbench is neutral
        return replace(
            sample, charge=0, targets={self.target: value}, source=self.identifier(number)
        )


def random_parts(n_samples: int) -> NDArray[np.int64]:
    """Part [N] in which each sample is tested; the first parts are larger by one if need be."""
    order = np.arange(n_samples)
    np.random.RandomState(SEED).shuffle(order)
    parts = np.empty(n_samples, dtype=np.int64)
    for part, places in enumerate(np.array_split(order, N_FOLDS)):
        parts[places] = part
    return parts


def stratified_parts(classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Part [N] in which each sample is tested, with each class spread evenly over the parts.

    Classes are numbered as they appear. How many of a class a part has follows from dealing out
    the sorted classes one by one; which ones, from one shuffle per class.
    """
    _, first, inverse = np.unique(classes, return_index=True, return_inverse=True)
    number = np.argsort(np.argsort(first))[inverse]  # [N] by first appearance
    dealt = np.sort(number)
    n_classes = len(first)
    counts = [np.bincount(dealt[part::N_FOLDS], minlength=n_classes) for part in range(N_FOLDS)]
    random = np.random.RandomState(SEED)
    parts = np.empty(len(classes), dtype=np.int64)
    for one in range(n_classes):
        of_class = np.arange(N_FOLDS).repeat([count[one] for count in counts])
        random.shuffle(of_class)
        parts[number == one] = of_class
    return parts
