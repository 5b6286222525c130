"""`predict_many`: many structures at once, packed into batches of bounded size, in order."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ase import Atoms

from atomfm_calc.calculators.evaluator import Evaluator, StructureResult
from atomfm_calc.calculators.setup import DEFAULT_MODEL, CalculatorSettings, prepare_model
from atomfm_calc.errors import AtomFMError, InsufficientMemoryError, SetupError
from atomfm_calc.graph import AtomicGraph, collate
from atomfm_calc.neighbors import SkinCache
from atomfm_calc.registry.catalog import LoadedModel

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class BatchBudget:
    """What one batch may hold; a larger structure is computed alone."""

    max_atoms: int
    max_edges: int

    def __post_init__(self) -> None:
        for name in ("max_atoms", "max_edges"):
            if getattr(self, name) < 1:
                raise SetupError(f"{name} is {getattr(self, name)}; it must be at least 1")


BUDGETS: dict[str, BatchBudget] = {
    "cpu": BatchBudget(max_atoms=2_000, max_edges=60_000),
    "cuda": BatchBudget(max_atoms=50_000, max_edges=1_000_000),
}
"""By device, unless the caller says otherwise: enough work for all cores, little memory."""


class Item(NamedTuple):
    """A structure and its place in the caller's list."""

    place: int
    graph: AtomicGraph

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.graph.atomic_numbers)

    @property
    def n_edges(self) -> int:
        """Number of directed edges."""
        return self.graph.edge_index.shape[1]


class Packer:
    """Collects structures, in order, until the next one would exceed the budget."""

    def __init__(self, budget: BatchBudget) -> None:
        self.budget = budget
        self._items: list[Item] = []
        self._n_atoms, self._n_edges = 0, 0

    def put(self, item: Item) -> list[Item]:
        """Add a structure; returns the batch that is full without it, or an empty list."""
        n_atoms, n_edges = self._n_atoms + item.n_atoms, self._n_edges + item.n_edges
        fits = n_atoms <= self.budget.max_atoms and n_edges <= self.budget.max_edges
        full = [] if fits else self.take()
        self._items.append(item)
        self._n_atoms += item.n_atoms
        self._n_edges += item.n_edges
        return full

    def take(self) -> list[Item]:
        """The structures collected so far; leaves none."""
        items, self._items = self._items, []
        self._n_atoms, self._n_edges = 0, 0
        return items

    def shrink_below(self, batch: Sequence[Item]) -> None:
        """Lower the budget to half of a batch that was too large."""
        n_atoms = sum(item.n_atoms for item in batch) // 2
        n_edges = sum(item.n_edges for item in batch) // 2
        self.budget = BatchBudget(
            max_atoms=min(self.budget.max_atoms, max(1, n_atoms)),
            max_edges=min(self.budget.max_edges, max(1, n_edges)),
        )


def pack(items: Iterable[Item], budget: BatchBudget) -> list[list[Item]]:
    """Batches within the budget, in order; a structure above it stands alone."""
    packer = Packer(budget)
    batches = [packer.put(item) for item in items]
    return [batch for batch in (*batches, packer.take()) if batch]


def predict_many(
    structures: Iterable[Atoms],
    model: str | Path | LoadedModel = DEFAULT_MODEL,
    settings: CalculatorSettings | None = None,
    *,
    want: Sequence[str] = ("energy", "forces"),
    max_atoms: int | None = None,
    max_edges: int | None = None,
) -> list[StructureResult]:
    """Results of one head for many structures, in their order.

    How structures are packed changes no result but for rounding. A batch that does not fit into
    memory is divided and tried again, with half of its size as the new budget.

    Args:
        structures: are not changed; charge and multiplicity as in `FoundationCalc`.
        model: as in `FoundationCalc`.
        settings: head, device, precision and so on; None: the defaults.
        want: any of "energy", "forces", "stress"; structures that are not periodic in three
            directions get no stress.
        max_atoms: of one batch; None: `BUDGETS` of the device. A larger structure is computed
            alone.
        max_edges: of one batch, likewise.

    Raises:
        AtomFMError: as in `FoundationCalc`; names the index of the structure.
        InsufficientMemoryError: a structure does not fit even alone.
        SetupError: a budget below 1.
    """
    settings = settings or CalculatorSettings()
    evaluator = Evaluator(prepare_model(model, settings), settings)
    evaluator.announce()
    results = iterate_results(
        evaluator, structures, want=want, max_atoms=max_atoms, max_edges=max_edges
    )
    return list(results)


def iterate_results(
    evaluator: Evaluator,
    structures: Iterable[Atoms],
    *,
    want: Sequence[str],
    max_atoms: int | None = None,
    max_edges: int | None = None,
) -> Iterator[StructureResult]:
    """`predict_many` for a prepared model, one result at a time."""
    usual = BUDGETS[evaluator.device.type]
    budget = BatchBudget(
        max_atoms=usual.max_atoms if max_atoms is None else max_atoms,
        max_edges=usual.max_edges if max_edges is None else max_edges,
    )
    return _iterate(evaluator, structures, want, Packer(budget))


def _iterate(
    evaluator: Evaluator, structures: Iterable[Atoms], want: Sequence[str], packer: Packer
) -> Iterator[StructureResult]:
    for index, atoms in enumerate(structures):
        cache = SkinCache(evaluator.model.cutoff, skin=0.0)
        try:
            graph = evaluator.graph(atoms, evaluator.head, cache)
        except AtomFMError as error:
            raise type(error)(f"structure {index}: {error}") from error
        yield from _results(evaluator, packer.put(Item(index, graph)), want, packer)
    yield from _results(evaluator, packer.take(), want, packer)


def _results(
    evaluator: Evaluator, batch: list[Item], want: Sequence[str], packer: Packer
) -> Iterator[StructureResult]:
    waiting = deque([batch] if batch else [])
    while waiting:
        batch = waiting.popleft()
        results = _attempt(evaluator, batch, want)
        if results is not None:
            yield from results
            continue
        packer.shrink_below(batch)
        logger.warning(
            "a batch of %d structures does not fit into memory; going on with batches of up to "
            "%d atoms and %d edges",
            len(batch),
            packer.budget.max_atoms,
            packer.budget.max_edges,
        )
        rest = [item for group in (batch, *waiting) for item in group]
        waiting = deque(pack(rest, packer.budget))


def _attempt(
    evaluator: Evaluator, batch: Sequence[Item], want: Sequence[str]
) -> list[StructureResult] | None:
    """Results in order; None if memory is too small for the batch but may do for half of it."""
    graph = collate([item.graph for item in batch])
    if not bool(graph.pbc.all(dim=1).any()):
        want = [name for name in want if name != "stress"]
    try:
        return evaluator.evaluate(graph, evaluator.head, want)
    except InsufficientMemoryError as error:
        if len(batch) == 1:
            raise InsufficientMemoryError(f"structure {batch[0].place}: {error}") from error
    return None
