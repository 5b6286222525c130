"""The torch-sim door: one head of a model as a `ModelInterface`, for many systems at once.

    pip install "atomfm[torchsim]"

    import torch_sim as ts
    from ase.build import bulk
    from atomfm_calc.calculators.setup import CalculatorSettings
    from atomfm_calc.calculators.torchsim import TorchSimModel

    settings = CalculatorSettings(head="gfn1-xtb", default_dtype="float64")
    model = TorchSimModel("painn-lead", settings)
    crystals = [bulk("Si", cubic=True), bulk("MgO", "rocksalt", a=4.25, cubic=True)]
    for crystal in crystals:
        crystal.rattle(0.1)

    relaxed = ts.optimize(crystals, model, optimizer=ts.Optimizer.fire)
    final = ts.integrate(
        relaxed, model, integrator=ts.Integrator.nvt_langevin,
        n_steps=100, timestep=0.001, temperature=300,  # ps, K
    )
    print(relaxed.energy, final.energy)

Checked with torch-sim 0.6.2, and with 0.3.0, the last one for Python 3.11: that has
`ts.optimizers.fire` and `ts.integrators.nvt_langevin` instead, and keeps no charge.

Cells are columns in torch-sim and rows here. Neighbor lists are made on the CPU, one per system,
and reused while no atom has moved by half of `settings.skin`; results are those of
`FoundationCalc`, and what it refuses is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from torch import Tensor
from torch_sim.models.interface import ModelInterface
from torch_sim.state import SimState

from atomfm_calc.calculators.evaluator import Evaluator, StructureResult
from atomfm_calc.calculators.setup import DEFAULT_MODEL, CalculatorSettings, prepare_model
from atomfm_calc.errors import AtomFMError, ChargeError
from atomfm_calc.graph import AtomicGraph, collate
from atomfm_calc.neighbors import SkinCache
from atomfm_calc.registry.catalog import LoadedModel

EXTRAS = {"charge": "charge", "spin": "multiplicity"}
"""Per-system extras of torch-sim and our name for them: e, and 2S+1 (as in fairchem)."""
UNREAD_EXTRAS = ("total_charge", "total_spin")
"""Other names that torch-sim suggests; it does not say whether a spin is S, 2S or 2S+1."""


class TorchSimModel(ModelInterface):
    """Energy, forces and stress of one head for a batch of systems.

    Charge (e) and multiplicity (2S+1) come from the settings or from the state's per-system extras
    "charge" and "spin", 0 and 1 if neither says.

    Attributes:
        evaluator: the model and how it is used.
    """

    def __init__(
        self,
        model: str | Path | LoadedModel = DEFAULT_MODEL,
        settings: CalculatorSettings | None = None,
        *,
        compute_forces: bool = True,
        compute_stress: bool = True,
    ) -> None:
        """Load and announce the model.

        Args:
            model: as in `FoundationCalc`.
            settings: head, device, precision and so on; None: the defaults.
            compute_forces: whether to give forces.
            compute_stress: whether to give stress.

        Raises:
            UnknownNameError, WeightsError, SetupError: as in `FoundationCalc`.
        """
        super().__init__()
        settings = settings or CalculatorSettings()
        self.evaluator = Evaluator(prepare_model(model, settings), settings)
        self.evaluator.announce()
        self._device = self.evaluator.device
        self._dtype = self.evaluator.dtype
        self._compute_forces = compute_forces
        self._compute_stress = compute_stress
        self._memory_scales_with = "n_atoms_x_density"
        self._caches: list[SkinCache] = []

    @property
    def compute_forces(self) -> bool:
        """Whether forces are given."""
        return self._compute_forces

    @compute_forces.setter
    def compute_forces(self, compute_forces: bool) -> None:
        """Set whether forces are given."""
        self._compute_forces = compute_forces

    @property
    def compute_stress(self) -> bool:
        """Whether stress is given."""
        return self._compute_stress

    @compute_stress.setter
    def compute_stress(self, compute_stress: bool) -> None:
        """Set whether stress is given."""
        self._compute_stress = compute_stress

    def forward(self, state: SimState, **_: object) -> dict[str, Tensor]:
        """Results for all systems of a state, which is not changed.

        Returns:
            energy [S] eV, forces [N, 3] eV/Å, stress [S, 3, 3] eV/Å³ (tension positive, NaN for
            systems that are not periodic in three directions); detached, on the model's device, in
            its precision.

        Raises:
            StructureError, UnsupportedElementError, ChargeError: as in `FoundationCalc`; names the
                index of the system.
            NonFiniteError, InsufficientMemoryError: the calculation failed.
        """
        graph = self._graph(state)
        want = ["energy"]
        if self._compute_forces:
            want.append("forces")
        if self._compute_stress and bool(graph.pbc.all(dim=1).any()):
            want.append("stress")
        results = self.evaluator.evaluate(graph, self.evaluator.head, want)
        output = {"energy": self._tensor([result.energy for result in results])}
        if self._compute_forces:
            output["forces"] = self._tensor(np.concatenate([result.forces for result in results]))
        if self._compute_stress:
            output["stress"] = self._tensor(np.stack([_stress(result) for result in results]))
        return output

    def _graph(self, state: SimState) -> AtomicGraph:
        graphs = []
        structures = _structures(state)
        missing = len(structures) - len(self._caches)
        cutoff, skin = self.evaluator.model.cutoff, self.evaluator.settings.skin
        self._caches += [SkinCache(cutoff, skin) for _ in range(missing)]
        for index, (atoms, cache) in enumerate(zip(structures, self._caches, strict=False)):
            try:
                graphs.append(self.evaluator.graph(atoms, self.evaluator.head, cache))
            except AtomFMError as error:
                raise type(error)(f"system {index}: {error}") from error
        return collate(graphs)

    def _tensor(self, values: Sequence[float] | np.ndarray) -> Tensor:
        return torch.as_tensor(values, dtype=self._dtype, device=self._device)


def _structures(state: SimState) -> list[Atoms]:
    """The systems of a state, with charge and multiplicity in `info` where it says.

    Raises:
        ChargeError: it says so under a name that is not read.
    """
    extras = getattr(state, "system_extras", {})  # torch-sim 0.3 has none
    for key in UNREAD_EXTRAS:
        if key in extras:
            raise ChargeError(
                f"the state has the extra {key!r}, which is not read; state the charge (e) as "
                "'charge' and the multiplicity (2S+1) as 'spin'"
            )
    numbers, positions, cells = (
        tensor.detach().cpu().numpy()
        for tensor in (state.atomic_numbers, state.positions, state.row_vector_cell)
    )
    counts = torch.bincount(state.system_idx, minlength=len(cells)).tolist()
    pbc = torch.as_tensor(state.pbc).expand(3).tolist()
    info = {
        name: extras[key].detach().reshape(-1).tolist()
        for key, name in EXTRAS.items()
        if key in extras
    }
    ends = np.cumsum(counts)
    return [
        Atoms(
            numbers=numbers[end - count : end],
            positions=positions[end - count : end],
            cell=cells[index],
            pbc=pbc,
            info={name: values[index] for name, values in info.items()},
        )
        for index, (count, end) in enumerate(zip(counts, ends, strict=True))
    ]


def _stress(result: StructureResult) -> np.ndarray:
    return np.full((3, 3), np.nan) if result.stress is None else result.stress
