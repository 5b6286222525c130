"""`Evaluator`: structures in, NumPy results out; what the calculator and the batched door share."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from atomfm_calc.calculators.captured_step import CapturedStep
from atomfm_calc.calculators.checks import (
    charge_state,
    check_distances,
    check_elements,
    check_positions,
    check_structure,
)
from atomfm_calc.calculators.memory import (
    GIB,
    MemoryEstimate,
    estimate,
    free_memory,
    is_out_of_memory,
    release,
)
from atomfm_calc.calculators.mixture import Mixer
from atomfm_calc.calculators.setup import MIXTURE, CalculatorSettings, resolve_head
from atomfm_calc.calculators.soundness import SHORTEST_DISTANCE
from atomfm_calc.calculators.uncertainty import EnergyUncertainty, Uncertainties
from atomfm_calc.errors import (
    InsufficientMemoryError,
    NonFiniteError,
    PropertyError,
    SetupError,
)
from atomfm_calc.graph import AtomicGraph
from atomfm_calc.models.derivatives import Prediction, hessian, predict, predict_heads
from atomfm_calc.models.foundation import EnergyFunction
from atomfm_calc.models.precision import matrix_products, one_order
from atomfm_calc.neighbors import SkinCache, graph_from_arrays
from atomfm_calc.registry.catalog import LoadedModel

logger = logging.getLogger(__name__)

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class StructureResult:
    """What a head says about one structure."""

    energy: float
    """eV"""
    atom_energies: Array | None
    """[N] eV, adding up to `energy`; None if the model pools: it has no energies of atoms"""
    forces: Array | None = None
    """[N, 3] eV/Å; None if not asked for"""
    stress: Array | None = None
    """[3, 3] eV/Å³, tension positive; None if not asked for or not periodic in three directions"""
    uncertainty: EnergyUncertainty | None = None
    """How far the energy may be off; None if the model, or a mixture, does not know"""


class HeadPart(NamedTuple):
    """What several heads say about one structure."""

    energies: dict[str, float]
    """eV by head"""
    forces: dict[str, Array] | None
    """[N, 3] eV/Å by head; None if not asked for"""
    uncertainties: dict[str, EnergyUncertainty]
    """By head, of those that know how far their energy may be off"""


class Evaluator:
    """A loaded model and how it is to be used."""

    def __init__(self, loaded: LoadedModel, settings: CalculatorSettings) -> None:
        """Announce the model in one log line.

        Args:
            loaded: from `prepare_model` with the same settings.
            settings: the head is resolved here.
        """
        self.loaded = loaded
        self.settings = settings
        self.model, self.card = loaded.model, loaded.card
        self.head = resolve_head(loaded.card, settings.head)
        self.uncertainties = Uncertainties(loaded, settings)
        if settings.on_uncertain != "ignore":
            self.uncertainties.require(self.head)
        self.mixer = None if loaded.gate is None else Mixer(loaded, loaded.gate, settings)
        self.device = next(self.model.backbone.parameters()).device
        self.dtype = self.model.dtype
        self._checked: tuple[bytes, ...] | None = None
        self.cache = SkinCache(self.model.cutoff, settings.skin)
        self.step = (
            CapturedStep(self.model.energy_of(self.head), self.model.cutoff, self.device)
            if settings.cuda_graph
            else None
        )

    def announce(self) -> None:
        """Name model, head, theory, kernel, precision and device in one log line."""
        logger.info(
            "%s, head %s (%s), kernel %s, %s on %s",
            self.card.label,
            self.head,
            self.theory,
            self.model.kernel,
            self.precision,
            self.device,
        )

    @property
    def precision(self) -> str:
        """Precision of the network, and of its products where they have another."""
        products = self.settings.matmul_precision
        rounded = "" if products == "highest" else f" ({products} products)"
        return f"{self.settings.default_dtype}{rounded}"

    @property
    def theory(self) -> str:
        """Level of theory of the head in use."""
        if self.head == MIXTURE:
            return f"{len(self.card.heads)} heads, weighed by composition"
        return self.card.heads[self.head].theory

    def require_mixer(self) -> Mixer:
        """The weighed heads; SetupError for a model without a gate."""
        if self.mixer is None:
            resolve_head(self.card, MIXTURE)
            raise SetupError(f"{self.card.label} was loaded without its gate; use load_model")
        return self.mixer

    def energy_of(self, head: str, graph: AtomicGraph) -> EnergyFunction:
        """The energy of a head, or of the mixture for the structures of a graph."""
        if head == MIXTURE:
            return self.require_mixer().energy_of(graph)
        return self.model.energy_of(head)

    def graph(self, atoms: Atoms, head: str, cache: SkinCache | None = None) -> AtomicGraph:
        """The checked graph of a structure, in main memory: batches are moved to a device at once.

        Args:
            atoms: is not changed.
            head: elements, charge and multiplicity are checked for this head.
            cache: neighbor list to reuse; None: the evaluator's own.

        Raises:
            StructureError, UnsupportedElementError, ChargeError: see `checks`.
        """
        self._check(atoms)
        charge, multiplicity = self.admit(atoms, head)
        positions, cell, pbc = atoms.get_positions(), np.array(atoms.cell.array), atoms.get_pbc()
        cache = cache or self.cache
        edges = cache.edges(positions, cell, pbc)
        # a molecule far from the origin loses digits in float32; energies do not see the shift
        centered = positions - positions.mean(axis=0)
        graph = graph_from_arrays(
            atoms.numbers.astype(np.int64),
            centered,
            cell,
            pbc,
            edges,
            charge=charge,
            multiplicity=multiplicity,
            dtype=self.dtype,
        )
        if cache.shortest is None or cache.shortest < 1.01 * SHORTEST_DISTANCE:
            check_distances(graph)
        return graph

    def _check(self, atoms: Atoms) -> None:
        """`check_structure`, of which dynamics repeats only what a step can change."""
        fixed = (atoms.numbers.tobytes(), atoms.cell.array.tobytes(), atoms.pbc.tobytes())
        if fixed == self._checked:
            check_positions(atoms)
        else:
            check_structure(atoms)
            self._checked = fixed

    def admit(self, atoms: Atoms, head: str) -> tuple[int, int]:
        """Charge and multiplicity to compute, if the head may compute the structure at all.

        Raises:
            UnsupportedElementError, ChargeError: it may not.
        """
        if head == MIXTURE:
            return self.require_mixer().admit(atoms)
        if not self.settings.allow_unseen_elements:
            check_elements(atoms, self.card, head)
        settings = self.settings
        return charge_state(atoms, settings.charge, settings.multiplicity, self.card, head)

    def evaluate(self, graph: AtomicGraph, head: str, want: Sequence[str]) -> list[StructureResult]:
        """Results of one head for each structure of a graph, in order.

        Raises:
            PropertyError: stress is wanted and no structure is periodic in three directions.
            NonFiniteError, InsufficientMemoryError: the calculation failed.
        """
        with self.computing(graph, want):
            if self.step is not None and graph.n_structures == 1 and head == self.head:
                prediction = self.step(graph, want)
            else:
                prediction = predict(self.energy_of(head, graph), graph.to(self.device), want)
            return self._results(prediction, graph, head)

    def evaluate_heads(
        self,
        graph: AtomicGraph,
        heads: Sequence[str],
        want: Sequence[str],
        admitted: Sequence[Sequence[str]],
    ) -> list[HeadPart]:
        """Results of several heads for each structure of a graph, from one backbone pass.

        Args:
            graph: S structures.
            heads: are computed.
            want: "energy", and "forces" for one backward pass per head.
            admitted: [S] which heads a structure is to have the results of; of `heads`.

        Raises:
            NonFiniteError, InsufficientMemoryError: the calculation failed.
        """
        with self.computing(graph, want, heads):
            predictions = predict_heads(self.model, graph.to(self.device), heads, want)
            energies = _array(torch.stack([predictions[name].energy for name in heads]))  # [H, S]
            forces = {
                name: _array(prediction.forces)
                for name, prediction in predictions.items()
                if prediction.forces is not None
            }
            uncertainties = {
                name: known
                for name, prediction in predictions.items()
                if (known := self.uncertainties.of(name, prediction, graph)) is not None
            }
        ends = np.cumsum(graph.n_atoms.tolist())
        parts = []
        for index, members in enumerate(admitted):
            of_structure = dict(zip(heads, energies[:, index].tolist(), strict=True))
            atoms = slice(ends[index] - int(graph.n_atoms[index]), ends[index])
            parts.append(
                HeadPart(
                    energies={name: of_structure[name] for name in members},
                    forces={name: forces[name][atoms] for name in members} if forces else None,
                    uncertainties={
                        name: uncertainties[name][index]
                        for name in members
                        if name in uncertainties
                    },
                )
            )
        if not all(np.isfinite(values).all() for values in (energies, *forces.values())):
            _refuse_non_finite(parts, graph)
        return parts

    def hessian(self, graph: AtomicGraph, head: str) -> Array:
        """[3N, 3N] eV/Å² of one structure; errors as above."""
        with self.computing(graph, ("forces",)):
            result = _array(hessian(self.energy_of(head, graph), graph.to(self.device)))
        return _finite({"hessian": result}, graph, head)["hessian"]

    def reference_energy(self, atoms: Atoms, head: str) -> float:
        """Sum of a head's element reference energies over the atoms, eV."""
        references = self.model.head(head).references.cpu().numpy()
        return float(references[atoms.numbers].sum())

    def estimate_memory(
        self, n_atoms: int, n_edges: int, want: Sequence[str], heads: Sequence[str] | None = None
    ) -> MemoryEstimate:
        """Peak memory of one evaluation, see `memory`.

        Args:
            n_atoms: of the structure or batch.
            n_edges: directed, within the cutoff.
            want: as in `predict`.
            heads: are evaluated together; None: those of the settings.

        Raises:
            PropertyError: the backbone is none whose memory was measured.
        """
        architecture = self.model.architecture
        if architecture.backbone != "painn":
            raise PropertyError(
                f"no estimate of memory for backbone {architecture.backbone!r}; there is one for "
                "'painn', whose memory was measured"
            )
        if heads is None:
            heads = self.model.head_names if self.head == MIXTURE else (self.head,)
        widths = [architecture.own_heads.get(name, architecture.head).hidden for name in heads]
        return estimate(
            n_atoms,
            n_edges,
            want,
            kernel=self.model.kernel,
            dtype=self.dtype,
            sizes=architecture.painn,
            head_width=sum(map(sum, widths)),
        )

    @contextmanager
    def computing(
        self, graph: AtomicGraph, want: Sequence[str], heads: Sequence[str] | None = None
    ) -> Iterator[None]:
        """Inside, matrix products are as the settings say; errors as in `memory_watched`."""
        products = matrix_products(self.device, tf32=self.settings.products.tf32)
        order = one_order(self.settings.deterministic)
        with products, order, self.memory_watched(graph, want, heads):
            yield

    @contextmanager
    def memory_watched(
        self, graph: AtomicGraph, want: Sequence[str], heads: Sequence[str] | None = None
    ) -> Iterator[None]:
        """Turn running out of memory into an error that says how large the structure is.

        Raises:
            InsufficientMemoryError: names atoms, edges and, for the backbone that has an estimate,
                the need and how many atoms would fit.
        """
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            release(error, self.device)
            raise InsufficientMemoryError(self._shortage(graph, want, heads)) from error

    def _shortage(
        self, graph: AtomicGraph, want: Sequence[str], heads: Sequence[str] | None
    ) -> str:
        n_atoms, n_edges = len(graph.atomic_numbers), graph.edge_index.shape[1]
        free = free_memory(self.device)
        try:
            need = self.estimate_memory(n_atoms, n_edges, want, heads)
        except PropertyError as unknown:
            needed, fitting = f"{', '.join(want)} are wanted", f"There is {unknown}"
        else:
            # it did not fit, whatever estimate and system say
            most = min(need.largest_within(free), n_atoms - 1)
            needed = f"about {need.GiB:.2g} GiB are needed for {', '.join(want)}"
            fitting = f"About {most} atoms of this density fit at most"
        return (
            f"{n_atoms} atoms with {n_edges} edges do not fit into the memory of {self.device}: "
            f"{needed} in {self.settings.default_dtype}, {free / GIB:.2g} GiB are free. {fitting}. "
            "Use a smaller cell, float32, or another device."
        )

    def _results(
        self, prediction: Prediction, graph: AtomicGraph, head: str
    ) -> list[StructureResult]:
        arrays = {
            name: _array(value)
            for name in ("energy", "atom_energies", "forces", "stress")
            if (value := getattr(prediction, name)) is not None
        }
        periodic = graph.pbc.all(dim=1).tolist()
        if "stress" in arrays:  # NaN stands for "has none" in a batch
            arrays["stress"][np.logical_not(periodic)] = 0.0
        _finite(arrays, graph, head)
        uncertainties = self.uncertainties.of(head, prediction, graph)
        ends = np.cumsum(graph.n_atoms.tolist())
        results = []
        for index, end in enumerate(ends):
            atoms = slice(end - int(graph.n_atoms[index]), end)
            results.append(
                StructureResult(
                    energy=float(arrays["energy"][index]),
                    atom_energies=(
                        arrays["atom_energies"][atoms] if "atom_energies" in arrays else None
                    ),
                    forces=arrays["forces"][atoms] if "forces" in arrays else None,
                    stress=(
                        arrays["stress"][index] if "stress" in arrays and periodic[index] else None
                    ),
                    uncertainty=None if uncertainties is None else uncertainties[index],
                )
            )
        return results


def _array(tensor: torch.Tensor) -> Array:
    return np.array(tensor.detach().cpu().numpy(), dtype=np.float64)


def _finite(arrays: Mapping[str, Array], graph: AtomicGraph, head: str) -> Mapping[str, Array]:
    broken = [name for name, values in arrays.items() if not np.isfinite(values).all()]
    if broken:
        raise NonFiniteError(
            f"head {head!r} gave {', '.join(broken)} that are not finite for "
            f"{graph.n_structures} structure(s) with {len(graph.atomic_numbers)} atoms; are the "
            "positions sensible? Try default_dtype='float64'."
        )
    return arrays


def _refuse_non_finite(parts: Sequence[HeadPart], graph: AtomicGraph) -> None:
    """Raise for the first head whose results are not finite where they are asked for."""
    for part in parts:
        for name, energy in part.energies.items():
            arrays = {"energy": np.array(energy)}
            if part.forces is not None:
                arrays["forces"] = part.forces[name]
            _finite(arrays, graph, name)
