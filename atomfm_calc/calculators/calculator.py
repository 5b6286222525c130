"""`FoundationCalc`: the ASE calculator of one model and one of its heads."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, cast

import ase
import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from numpy.typing import NDArray

from atomfm_calc import __version__
from atomfm_calc.calculators.batch import iterate_results
from atomfm_calc.calculators.checks import changed_properties, check_periodic, stated_charge
from atomfm_calc.calculators.comparison import HeadComparison, compare_heads
from atomfm_calc.calculators.evaluator import Evaluator, StructureResult
from atomfm_calc.calculators.memory import MemoryEstimate
from atomfm_calc.calculators.mixture import HeadWeights
from atomfm_calc.calculators.packing import pack_model, unpack_model
from atomfm_calc.calculators.setup import (
    DEFAULT_MODEL,
    MIXTURE,
    CalculatorSettings,
    model_address,
    prepare_model,
    refuse_unknown_arguments,
)
from atomfm_calc.calculators.uncertainty import EnergyUncertainty
from atomfm_calc.convert import voigt_stress
from atomfm_calc.errors import SetupError, StructureError, WeightsError
from atomfm_calc.neighbors import SkinCache
from atomfm_calc.registry.card import HeadInfo, ModelCard
from atomfm_calc.registry.catalog import LoadedModel


class FoundationCalc(Calculator):
    """ASE calculator: energy, free_energy, energies, forces and stress of one head.

    Units are ASE's: eV, eV/Å, eV/Å³ (tension positive, Voigt order xx, yy, zz, yz, xz, xy).
    `free_energy` equals `energy`. Stress needs three periodic directions. The caller's atoms are
    never changed. Charge (e) and multiplicity (2S+1) come from the arguments or from `atoms.info`
    ("charge"; "multiplicity", "spin_multiplicity" or "spin"), 0 and 1 if neither says.

    float32 is meant for dynamics and relaxation; use float64 for phonons, Hessians and other
    small differences.

    Attributes:
        card: `ModelCard` of the model.
        head: name of the head in use, or "mixture".
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012

    def __init__(
        self,
        model: str | Path | LoadedModel = DEFAULT_MODEL,
        *,
        head: str | None = None,
        device: str | torch.device = "auto",
        default_dtype: str | torch.dtype = "float32",
        charge: int | None = None,
        multiplicity: int | None = None,
        kernel: str | None = None,
        matmul_precision: str = "highest",
        cuda_graph: bool = False,
        deterministic: bool = False,
        skin: float = 0.5,
        allow_unseen_elements: bool = False,
        outside_gate: Literal["warn", "error"] = "warn",
        on_uncertain: Literal["ignore", "warn", "raise"] = "ignore",
        max_uncertainty: float | None = None,
        **unknown: object,
    ) -> None:
        """Load the model and say in one log line what computes.

        Args:
            model: a shipped name, a model folder, or a model from `load_model` (which several
                calculators may share).
            head: name of a head (`calc.heads` lists them); None: the card's default; "mixture": all
                of them, weighed by composition: `calculators.mixture` says what its energy means.
            device: "auto", "cpu", "cuda", "cuda:N".
            default_dtype: "float32" or "float64", of the network; sums are float64 in both.
            charge: total charge of every structure, e.
            multiplicity: 2S+1 of every structure.
            kernel: how neighbors are summed; None: the fastest for the device.
            matmul_precision: "highest"; or, faster and less exact, "tf32" (CUDA) or "bf16": what
                products of float32 matrices are computed in, see `setup.MATMUL_PRECISIONS`.
            deterministic: the same bits again on a CUDA device too; torch then asks for the
                variable CUBLAS_WORKSPACE_CONFIG=:4096:8 to be set. CPUs repeat themselves anyway.
            cuda_graph: record one structure's step on a GPU and replay it, for dynamics.
            skin: Å, reuse of neighbor lists; no result depends on it.
            allow_unseen_elements: compute elements that the head was not trained on.
            outside_gate: "warn" of compositions unlike those that the weights of a mixture were
                fitted to, or make them an "error".
            on_uncertain: "ignore", "warn" of or "raise" UncertainError for energies that are more
                uncertain than `max_uncertainty`; dynamics then stops and says why.
            max_uncertainty: eV/atom, one standard deviation; None: what 95 % of the held-out
                structures of the head do not exceed.
            unknown: refused; named in the error.

        Raises:
            UnknownArgumentError, SetupError: an argument that does not exist or cannot be.
            UnknownNameError: no such model, head or kernel.
            WeightsError, ConfigError: a damaged model.
            PropertyError: `on_uncertain` of a model or head without uncertainties.
        """
        settings = CalculatorSettings(
            head=head,
            device=str(device),
            default_dtype=str(default_dtype).removeprefix("torch."),
            charge=charge,
            multiplicity=multiplicity,
            kernel=kernel,
            matmul_precision=matmul_precision,
            cuda_graph=cuda_graph,
            deterministic=deterministic,
            skin=skin,
            allow_unseen_elements=allow_unseen_elements,
            outside_gate=outside_gate,
            on_uncertain=on_uncertain,
            max_uncertainty=max_uncertainty,
        )
        known = ("model", *(field.name for field in fields(CalculatorSettings)))
        refuse_unknown_arguments(unknown, known)
        self._build(prepare_model(model, settings), settings)
        self._evaluator.announce()

    @classmethod
    def from_settings(
        cls, model: str | Path | LoadedModel, settings: CalculatorSettings
    ) -> FoundationCalc:
        """The calculator that the settings describe; errors as above."""
        return cls(model, **asdict(settings))

    def _build(self, loaded: LoadedModel, settings: CalculatorSettings) -> None:
        Calculator.__init__(self)
        self._evaluator = Evaluator(loaded, settings)
        if loaded.model.pools:  # energies of atoms do not exist
            self.implemented_properties = [
                name for name in type(self).implemented_properties if name != "energies"
            ]
        self._watched: tuple[int | None, int | None] = (None, None)
        self._uncertainty: EnergyUncertainty | None = None
        self.parameters.update(self.todict())

    @property
    def card(self) -> ModelCard:
        """Card of the model."""
        return self._evaluator.card

    @property
    def head(self) -> str:
        """Name of the head in use."""
        return self._evaluator.head

    @property
    def heads(self) -> dict[str, HeadInfo]:
        """Card of every head of the model by name."""
        return dict(self.card.heads)

    @property
    def kernel(self) -> str:
        """Name of the kernel in use."""
        return self._evaluator.model.kernel

    def _get_name(self) -> str:
        return "atomfm"

    def set(self, **kwargs: object) -> dict[str, Any]:
        """Refuse every change: build another calculator instead.

        Raises:
            SetupError: anything is to be set.
        """
        if kwargs:
            raise SetupError(
                f"cannot set {', '.join(kwargs)} on a FoundationCalc; build a new one, for "
                "example FoundationCalc(model, head=...)"
            )
        return {}

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What changed since the last calculation; charge and multiplicity in `info` count.

        Any change counts, whatever `tol`: ASE's comparison of all numbers within a tolerance takes
        as long as a twentieth of a step of dynamics.
        """
        changes = changed_properties(self.atoms, atoms)
        if stated_charge(atoms) != self._watched:
            changes.append("info")
        return changes

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Fill `results`: energies always, forces and stress when asked for.

        Raises:
            StructureError, UnsupportedElementError, ChargeError: nothing can be computed.
            PropertyError: stress is asked for without three periodic directions.
            NonFiniteError, InsufficientMemoryError: the calculation failed.
            UncertainError: the energy is too uncertain, and `on_uncertain` is "raise".
        """
        self.results, self._uncertainty = {}, None
        Calculator.calculate(self, atoms, list(properties), list(system_changes))
        if self.atoms is None:
            raise StructureError("no structure to compute; give atoms")
        self._watched = (None, None)
        wanted = ["energy"]
        if "forces" in properties or "stress" in properties:
            wanted.append("forces")
        if "stress" in properties:
            check_periodic(self.atoms)
            wanted.append("stress")
        graph = self._evaluator.graph(self.atoms, self.head)
        (result,) = self._evaluator.evaluate(graph, self.head, wanted)
        self._evaluator.uncertainties.heed(result.uncertainty, graph, self.head)
        self._watched, self._uncertainty = stated_charge(self.atoms), result.uncertainty
        found: dict[str, Any] = {"energy": result.energy, "free_energy": result.energy}
        if result.atom_energies is not None:
            found["energies"] = result.atom_energies
        if result.forces is not None:
            found["forces"] = result.forces
        if result.stress is not None:
            found["stress"] = voigt_stress(result.stress)
        self.results = found

    def uncertainty(self, atoms: Atoms | None = None) -> EnergyUncertainty:
        """One standard deviation of the error that the head's energy is expected to have.

        It is not in `results`, which hold what ASE knows. Nothing is computed anew for the
        structure of the last calculation, and no limit is heeded.

        Args:
            atoms: are not changed; None: those of the last calculation.

        Raises:
            PropertyError: the model or head has no uncertainties, or it is a mixture.
            StructureError, UnsupportedElementError, ChargeError: nothing can be computed.
        """
        self._evaluator.uncertainties.require(self.head)
        chosen = self.atoms if atoms is None else atoms
        if chosen is None:
            raise StructureError("no structure was computed yet; give atoms")
        if self._uncertainty is None or not self.results or self.check_state(chosen):
            graph = self._evaluator.graph(chosen, self.head)
            (result,) = self._evaluator.evaluate(graph, self.head, ["energy"])
            return cast(EnergyUncertainty, result.uncertainty)  # as `require` says
        return self._uncertainty

    def head_weights(self, atoms: Atoms) -> dict[str, float]:
        """Weight of each head in the mixture for a structure's composition; they add up to 1."""
        return dict(self.explain_mixture(atoms).weights)

    def explain_mixture(self, atoms: Atoms) -> HeadWeights:
        """Weights, why heads have none, and whether the gate knows such compositions.

        Raises:
            SetupError: the model has no gate.
            StructureError, ChargeError: no head can compute the structure.
        """
        return self._evaluator.require_mixer().weights(atoms)

    def evaluate_heads(
        self, atoms: Atoms, heads: str | Sequence[str] = "all", *, forces: bool = True
    ) -> HeadComparison:
        """Every head on one structure from one backbone pass; see `comparison.compare_heads`."""
        return compare_heads(self._evaluator, atoms, heads, forces=forces)

    def predict_many(
        self,
        structures: Iterable[Atoms],
        *,
        want: Sequence[str] = ("energy", "forces"),
        max_atoms: int | None = None,
        max_edges: int | None = None,
    ) -> Iterator[StructureResult]:
        """Results for many structures, packed into batches, in order; see `batch`."""
        return iterate_results(
            self._evaluator, structures, want=want, max_atoms=max_atoms, max_edges=max_edges
        )

    def evaluate_heads_of_many(
        self,
        structures: Iterable[Atoms],
        heads: str | Sequence[str] = "all",
        *,
        forces: bool = False,
    ) -> Iterator[HeadComparison]:
        """Several heads on many structures, a backbone pass per batch, in order; see `batch`."""
        want = ("energy", "forces") if forces else ("energy",)
        return iterate_results(self._evaluator, structures, heads=heads, want=want)

    def get_hessian(self, atoms: Atoms) -> NDArray[np.float64]:
        """Second derivatives [3N, 3N] of the energy, eV/Å²; use default_dtype="float64"."""
        return self._evaluator.hessian(self._evaluator.graph(atoms, self.head), self.head)

    def estimate_memory(
        self, atoms: Atoms, want: Sequence[str] = ("energy", "forces")
    ) -> MemoryEstimate:
        """Peak memory of a calculation, beyond what model and program hold, without doing it.

        Args:
            atoms: are not changed; the neighbor list is made.
            want: any of "energy", "forces", "stress".

        Raises:
            PropertyError: the backbone is none whose memory was measured.
        """
        graph = self._evaluator.graph(atoms, self.head, SkinCache(self._evaluator.model.cutoff, 0))
        n_atoms, n_edges = len(graph.atomic_numbers), graph.edge_index.shape[1]
        return self._evaluator.estimate_memory(n_atoms, n_edges, want)

    def fingerprint(self) -> dict[str, str]:
        """What made a number: model, weights, head, precision, kernel, device, versions."""
        return {
            "model": self.card.label,
            "weights_sha256": self.card.weights_sha256,
            "head": self.head,
            **self._gate_checksum(),
            "default_dtype": self._evaluator.settings.default_dtype,
            "matmul_precision": self._evaluator.settings.matmul_precision,
            "kernel": self.kernel,
            "device": str(self._evaluator.device),
            "atomfm": __version__,
            "torch": torch.__version__,
            "ase": ase.__version__,
            **{name: version(name) for name in ("numba", "numpy", "vesin")},
        }

    def todict(self, skip_default: bool = True) -> dict[str, Any]:
        """What `fromdict` needs to build this calculator again, ready for JSON."""
        return {
            "model": model_address(self._evaluator.loaded),
            "weights_sha256": self.card.weights_sha256,
            **self._gate_checksum(),
            **asdict(self._evaluator.settings),
            "head": self.head,
            "kernel": self.kernel,
        }

    @classmethod
    def fromdict(cls, content: Mapping[str, Any]) -> FoundationCalc:
        """The calculator that `todict` described.

        Raises:
            WeightsError: the model of that name now has other weights.
        """
        arguments = dict(content)
        expected = {
            name: arguments.pop(name)
            for name in ("weights_sha256", "gate_sha256")
            if name in arguments
        }
        calc = cls(**arguments)
        for name, checksum in expected.items():
            found = getattr(calc.card, name)
            if found != checksum:
                raise WeightsError(
                    f"{arguments['model']} has {name} {found}, the description asks for "
                    f"{checksum}: the model was trained again"
                )
        return calc

    def _gate_checksum(self) -> dict[str, str]:
        """What else made the numbers of a mixture; nothing for a single head."""
        checksum = self.card.gate_sha256 if self.head == MIXTURE else None
        return {} if checksum is None else {"gate_sha256": checksum}

    def __getstate__(self) -> dict[str, Any]:
        return {
            "model": pack_model(self._evaluator.loaded),
            "settings": self._evaluator.settings,
            "atoms": self.atoms,
            "results": self.results,
            "watched": self._watched,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        settings = state["settings"]
        loaded = unpack_model(state["model"], kernel="reference")
        self._restore(prepare_model(loaded, settings), state)

    def __deepcopy__(self, memo: dict[int, Any]) -> FoundationCalc:
        """A calculator with its own cache and results; the frozen weights are shared."""
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        state = {
            "settings": self._evaluator.settings,
            "atoms": None if self.atoms is None else self.atoms.copy(),
            "results": copy.deepcopy(self.results, memo),
            "watched": self._watched,
        }
        twin._restore(self._evaluator.loaded, state)
        return twin

    def _restore(self, loaded: LoadedModel, state: dict[str, Any]) -> None:
        self._build(loaded, state["settings"])
        self.atoms, self.results = state["atoms"], state["results"]
        self._watched = state["watched"]
