"""`predict_many`: many structures at once, packed into batches of bounded size, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ase import Atoms

from atomfm_calc.calculators.evaluator import Evaluator, StructureResult
from atomfm_calc.calculators.setup import DEFAULT_MODEL, CalculatorSettings, prepare_model
from atomfm_calc.errors import AtomFMError
from atomfm_calc.graph import AtomicGraph, collate
from atomfm_calc.neighbors import SkinCache
from atomfm_calc.registry.catalog import LoadedModel


def predict_many(
    structures: Iterable[Atoms],
    model: str | Path | LoadedModel = DEFAULT_MODEL,
    settings: CalculatorSettings | None = None,
    *,
    want: Sequence[str] = ("energy", "forces"),
    max_edges: int = 60_000,
) -> list[StructureResult]:
    """Results of one head for many structures, in their order.

    Args:
        structures: are not changed; charge and multiplicity as in `FoundationCalc`.
        model: as in `FoundationCalc`.
        settings: head, device, precision and so on; None: the defaults.
        want: any of "energy", "forces", "stress"; structures that are not periodic in three
            directions get no stress.
        max_edges: of one batch; a larger structure is computed alone.

    Raises:
        AtomFMError: as in `FoundationCalc`; names the index of the structure.
    """
    settings = settings or CalculatorSettings()
    evaluator = Evaluator(prepare_model(model, settings), settings)
    evaluator.announce()
    return list(iterate_results(evaluator, structures, want=want, max_edges=max_edges))


def iterate_results(
    evaluator: Evaluator, structures: Iterable[Atoms], *, want: Sequence[str], max_edges: int
) -> Iterator[StructureResult]:
    """`predict_many` for a prepared model, one result at a time."""
    batch: list[AtomicGraph] = []
    n_edges = 0
    for index, atoms in enumerate(structures):
        cache = SkinCache(evaluator.model.cutoff, skin=0.0)
        try:
            graph = evaluator.graph(atoms, evaluator.head, cache)
        except AtomFMError as error:
            raise type(error)(f"structure {index}: {error}") from error
        edges = graph.edge_index.shape[1]
        if batch and n_edges + edges > max_edges:
            yield from _results(evaluator, batch, want)
            batch, n_edges = [], 0
        batch.append(graph)
        n_edges += edges
    if batch:
        yield from _results(evaluator, batch, want)


def _results(
    evaluator: Evaluator, batch: Sequence[AtomicGraph], want: Sequence[str]
) -> list[StructureResult]:
    graph = collate(batch)
    if not bool(graph.pbc.all(dim=1).any()):
        want = [name for name in want if name != "stress"]
    return evaluator.evaluate(graph, evaluator.head, want)
