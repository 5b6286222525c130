"""Batches of bounded size: structures collected in order, divided where memory is too small."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from atomfm_calc.errors import InsufficientMemoryError, SetupError
from atomfm_calc.graph import AtomicGraph

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


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


def budget_of(device_type: str, max_atoms: int | None, max_edges: int | None) -> BatchBudget:
    """The budget of a device with the caller's limits in place of the usual ones.

    Raises:
        SetupError: a limit below 1.
    """
    usual = BUDGETS[device_type]
    return BatchBudget(
        max_atoms=usual.max_atoms if max_atoms is None else max_atoms,
        max_edges=usual.max_edges if max_edges is None else max_edges,
    )


class Item(NamedTuple):
    """A structure and its place in the caller's list."""

    place: int
    graph: AtomicGraph
    heads: tuple[str, ...] = ()
    """Which are to compute it, where several do"""

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


def compute_in_batches(
    items: Iterable[Item], budget: BatchBudget, compute: Callable[[list[Item]], list[Result]]
) -> Iterator[Result]:
    """Results of all items, in order; a batch that does not fit is halved and tried again.

    Args:
        items: are taken as they are needed.
        budget: of one batch; a larger item is computed alone.
        compute: a batch -> one result per item.

    Raises:
        InsufficientMemoryError: an item does not fit even alone; names its place.
    """
    packer = Packer(budget)
    for item in items:
        yield from _results(packer.put(item), packer, compute)
    yield from _results(packer.take(), packer, compute)


def _results(
    batch: list[Item], packer: Packer, compute: Callable[[list[Item]], list[Result]]
) -> Iterator[Result]:
    waiting = deque([batch] if batch else [])
    while waiting:
        batch = waiting.popleft()
        results = _attempt(batch, compute)
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
    batch: list[Item], compute: Callable[[list[Item]], list[Result]]
) -> list[Result] | None:
    """Results in order; None if memory is too small for the batch but may do for half of it."""
    try:
        return compute(batch)
    except InsufficientMemoryError as error:
        if len(batch) == 1:
            raise InsufficientMemoryError(f"structure {batch[0].place}: {error}") from error
    return None
