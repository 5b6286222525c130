"""`predict_many`: many structures at once, packed into batches of bounded size, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import overload

from ase import Atoms

from atomfm_calc.calculators.budget import Item, budget_of, compute_in_batches
from atomfm_calc.calculators.checks import check_structures
from atomfm_calc.calculators.comparison import HeadComparison, iterate_comparisons
from atomfm_calc.calculators.evaluator import Evaluator, StructureResult
from atomfm_calc.calculators.preparation import checked_graphs, chunks
from atomfm_calc.calculators.property_results import PropertyResult, iterate_properties
from atomfm_calc.calculators.setup import (
    DEFAULT_MODEL,
    CalculatorSettings,
    prepare_model,
    resolve_device,
)
from atomfm_calc.errors import AtomFMError, UncertainError
from atomfm_calc.graph import AtomicGraph, collate
from atomfm_calc.registry.catalog import LoadedModel


@overload
def predict_many(  # noqa: D418
    structures: Iterable[Atoms],
    model: str | Path | LoadedModel = ...,
    settings: CalculatorSettings | None = ...,
    *,
    heads: None = ...,
    want: Sequence[str] | None = ...,
    max_atoms: int | None = ...,
    max_edges: int | None = ...,
) -> list[StructureResult]:
    """Results of one head."""


@overload
def predict_many(  # noqa: D418
    structures: Iterable[Atoms],
    model: str | Path | LoadedModel = ...,
    settings: CalculatorSettings | None = ...,
    *,
    heads: str | Sequence[str],
    want: Sequence[str] | None = ...,
    max_atoms: int | None = ...,
    max_edges: int | None = ...,
) -> list[HeadComparison]:
    """Results of several heads."""


@overload
def predict_many(  # noqa: D418
    structures: Iterable[Atoms],
    model: str | Path | LoadedModel = ...,
    settings: CalculatorSettings | None = ...,
    *,
    properties: str | Sequence[str],
    max_atoms: int | None = ...,
    max_edges: int | None = ...,
) -> list[PropertyResult]:
    """Results of property heads."""


def predict_many(
    structures: Iterable[Atoms],
    model: str | Path | LoadedModel = DEFAULT_MODEL,
    settings: CalculatorSettings | None = None,
    *,
    heads: str | Sequence[str] | None = None,
    properties: str | Sequence[str] | None = None,
    want: Sequence[str] | None = None,
    max_atoms: int | None = None,
    max_edges: int | None = None,
) -> list[StructureResult] | list[HeadComparison] | list[PropertyResult]:
    """Results of one head, or of several, for many structures, in their order.

    How structures are packed changes no result but for rounding. A batch that does not fit into
    memory is divided and tried again, with half of its size as the new budget.

    Args:
        structures: are not changed; charge and multiplicity as in `FoundationCalc`.
        model: as in `FoundationCalc`.
        settings: head, device, precision and so on; None: the defaults.
        heads: names, or "all", from one backbone pass per batch; None: the one head of the
            settings.
        properties: names of property heads, or "all", in place of energies; None: none.
        want: of one head, any of "energy", "forces", "stress" (None: energy and forces);
            structures that are not periodic in three directions get no stress. Of several heads,
            "energy" (None) or "energy" and "forces"; energies alone take no gradient.
        max_atoms: of one batch; None: `BUDGETS` of the device. A larger structure is computed
            alone.
        max_edges: of one batch, likewise.

    Returns:
        a `StructureResult` per structure; with `heads`, a `HeadComparison`, which has the reason
        for every head that may not compute the structure; with `properties`, a `PropertyResult`.

    Raises:
        AtomFMError: as in `FoundationCalc`; names the index of the structure.
        PropertyError: stress of several heads.
        InsufficientMemoryError: a structure does not fit even alone.
        SetupError: a budget below 1.
    """
    settings = settings or CalculatorSettings()
    loaded = prepare_model(model, settings)
    if properties is not None:
        names = (properties,) if isinstance(properties, str) else properties
        budget = budget_of(resolve_device(settings.device).type, max_atoms, max_edges)
        return list(iterate_properties(loaded, settings, structures, names, budget))
    evaluator = Evaluator(loaded, settings)
    evaluator.announce()
    results = partial(
        iterate_results, evaluator, structures, want=want, max_atoms=max_atoms, max_edges=max_edges
    )
    return list(results()) if heads is None else list(results(heads=heads))


@overload
def iterate_results(  # noqa: D418
    evaluator: Evaluator,
    structures: Iterable[Atoms],
    *,
    want: Sequence[str] | None = ...,
    heads: None = ...,
    max_atoms: int | None = ...,
    max_edges: int | None = ...,
) -> Iterator[StructureResult]:
    """Results of one head."""


@overload
def iterate_results(  # noqa: D418
    evaluator: Evaluator,
    structures: Iterable[Atoms],
    *,
    heads: str | Sequence[str],
    want: Sequence[str] | None = ...,
    max_atoms: int | None = ...,
    max_edges: int | None = ...,
) -> Iterator[HeadComparison]:
    """Results of several heads."""


def iterate_results(
    evaluator: Evaluator,
    structures: Iterable[Atoms],
    *,
    want: Sequence[str] | None = None,
    heads: str | Sequence[str] | None = None,
    max_atoms: int | None = None,
    max_edges: int | None = None,
) -> Iterator[StructureResult] | Iterator[HeadComparison]:
    """`predict_many` for a prepared model, one result at a time."""
    budget = budget_of(evaluator.device.type, max_atoms, max_edges)
    if heads is not None:
        wanted = ("energy",) if want is None else want
        return iterate_comparisons(evaluator, structures, heads, want=wanted, budget=budget)
    wanted = ("energy", "forces") if want is None else want
    return compute_in_batches(
        _items(evaluator, structures), budget, partial(_compute, evaluator, want=wanted)
    )


def _items(evaluator: Evaluator, structures: Iterable[Atoms]) -> Iterator[Item]:
    for chunk in chunks(structures):
        admitted = []
        refusals = check_structures([atoms for _, atoms in chunk])
        for (place, atoms), refusal in zip(chunk, refusals, strict=True):
            try:
                if refusal is not None:
                    raise refusal
                admitted.append((atoms, evaluator.admit(atoms, evaluator.head)))
            except AtomFMError as error:
                raise type(error)(f"structure {place}: {error}") from error
        for (place, _), graph in zip(chunk, checked_graphs(evaluator, admitted), strict=True):
            if not isinstance(graph, AtomicGraph):
                raise type(graph)(f"structure {place}: {graph}") from graph
            yield Item(place, graph)


def _compute(evaluator: Evaluator, batch: list[Item], want: Sequence[str]) -> list[StructureResult]:
    graph = collate([item.graph for item in batch])
    if not bool(graph.pbc.all(dim=1).any()):
        want = [name for name in want if name != "stress"]
    results = evaluator.evaluate(graph, evaluator.head, want)
    for item, result in zip(batch, results, strict=True):
        try:
            evaluator.uncertainties.heed(result.uncertainty, item.graph, evaluator.head)
        except UncertainError as error:
            raise UncertainError(f"structure {item.place}: {error}") from error
    return results
