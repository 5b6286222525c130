"""The barrier between two structures: nudged elastic band with a climbing image.

The path begins as ASE's IDPP interpolation; all images of a step are computed together; the highest
image climbs once the band is roughly there.

Source: Henkelman, Uberuaga and Jónsson, J. Chem. Phys. 113, 9901 (2000); IDPP: Smidstrup et al., J.
Chem. Phys. 140, 214106 (2014).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.geometry import find_mic
from ase.io.trajectory import Trajectory
from ase.mep.neb import NEB
from numpy.typing import NDArray

from atomfm_calc.errors import ConfigError, DataError, StructureError, lookup
from atomfm_calc.workflows.compute import (
    MADE_BY_KEY,
    compute_many,
    maker_of,
    refuse_other_maker,
    with_computed,
)
from atomfm_calc.workflows.relax import (
    RELAX_OPTIMIZERS,
    RelaxSettings,
    relax,
    require_converged,
)

IMAGES_KEY = "neb_images"
"""Key of `atoms.info` in the trajectory: how many images make a path."""


@dataclass(frozen=True, kw_only=True)
class NebSettings:
    """How to find the path."""

    n_images: int = 7
    """Images between the ends."""
    max_force: float = 0.03
    """eV/Å, limit of the force on the band."""
    climb_below: float = 0.3
    """eV/Å, the highest image climbs when the force on the band has been below."""
    spring: float = 0.1
    """eV/Å², between images."""
    optimizer: str = "fire"
    """Key of `RELAX_OPTIMIZERS`."""
    max_steps: int = 500
    """Optimizer steps, after which it ends unconverged; those before a resumption included."""
    relax_ends: bool = True
    """Relax both ends first, to a tenth of `max_force`."""
    method: str = "improvedtangent"
    """Of ASE's `NEB`."""

    def __post_init__(self) -> None:
        lookup(RELAX_OPTIMIZERS, self.optimizer, "optimizer")
        if self.n_images < 1 or self.max_steps < 0:
            raise ConfigError(
                f"n_images {self.n_images} below 1 or max_steps {self.max_steps} below 0"
            )
        for name in ("max_force", "climb_below", "spring"):
            if not getattr(self, name) > 0.0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be above 0")


class NebStep(NamedTuple):
    """What is reported at each step."""

    n_steps: int
    barrier: float
    """eV"""
    max_force: float
    """eV/Å, on the band"""
    climbing: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class NebResult:
    """The path of lowest energy, as far as it was found."""

    images: tuple[Atoms, ...]
    """The path with both ends, results attached."""
    atoms: Atoms
    """The image of highest energy."""
    converged: bool
    """The force on the band is below its limit."""
    reason: str
    """Why it ended."""
    n_steps: int
    """Optimizer steps done, those of earlier parts of the run included."""
    barrier: float
    """eV, from the first to the highest image"""
    reverse_barrier: float
    """eV, from the last to the highest image"""
    reaction_energy: float
    """eV, last minus first"""
    max_force: float
    """eV/Å, on the band"""
    distances: NDArray[np.float64]
    """[images] Å, way of all atoms along the path"""
    energies: NDArray[np.float64]
    """[images] eV, minus that of the first"""


def nudged_elastic_band(
    first: Atoms,
    last: Atoms,
    calculator: BaseCalculator,
    settings: NebSettings | None = None,
    *,
    trajectory: str | Path | None = None,
    resume: bool = False,
    on_step: Callable[[NebStep], None] | None = None,
) -> NebResult:
    """Find the path of lowest energy between two minima.

    Args:
        first: where it begins; is not changed, its constraints hold for all images.
        last: where it ends: the same atoms in the same order and cell.
        calculator: any ASE calculator.
        settings: None: the defaults.
        trajectory: file (.traj) for all images of all steps, replaced if present, unless `resume`.
        resume: go on from the last path of `trajectory`.
        on_step: called with the state before the first and after each step.

    Returns:
        The result says whether it converged; not converging is not an error.

    Raises:
        StructureError: the ends are not of the same atoms or cell.
        DataError: nothing to resume.
        WorkflowError: an end does not relax.
    """
    settings = settings or NebSettings()
    _check_ends(first, last)
    if resume:
        images, n_done = _last_path(first, calculator, trajectory, settings.n_images + 2)
    else:
        images, n_done = _interpolated(*_ends(first, last, calculator, settings), settings), 0
    band = _Band(images, calculator, settings)
    optimizer = RELAX_OPTIMIZERS[settings.optimizer](band, logfile=None)
    file = None if trajectory is None else Trajectory(str(trajectory), "a" if resume else "w")
    try:
        state = band.state(n_done)
        _tell(band, state, None if resume else file, on_step)
        while not _is_done(state, settings) and state.n_steps < settings.max_steps:
            if state.max_force < settings.climb_below:
                band.climb = True
            optimizer.step()
            state = band.state(state.n_steps + 1)
            _tell(band, state, file, on_step)
    finally:
        if file is not None:
            file.close()
    return _result(band.images, state, _is_done(state, settings))


class _Band(NEB):  # type: ignore[misc]
    """ASE's band, whose images are computed together."""

    def __init__(
        self, images: list[Atoms], calculator: BaseCalculator, settings: NebSettings
    ) -> None:
        super().__init__(images, k=settings.spring, method=settings.method)
        self.calculator = calculator
        self._compute(images)

    def get_forces(self) -> NDArray[np.float64]:
        """Forces on the band [images x N, 3], eV/Å."""
        self._compute(self.images[1:-1])
        forces: NDArray[np.float64] = super().get_forces()
        return forces

    def state(self, n_steps: int) -> NebStep:
        """Where the band is."""
        force = float(np.linalg.norm(self.get_forces(), axis=1).max(initial=0.0))
        energies = [image.get_potential_energy() for image in self.images]
        return NebStep(n_steps, float(max(energies) - energies[0]), force, bool(self.climb))

    def _compute(self, images: Sequence[Atoms]) -> None:
        old = [image for image in images if image.calc is None or image.calc.check_state(image)]
        for image, computed in zip(old, compute_many(self.calculator, old), strict=True):
            image.calc = with_computed(image, computed).calc


def _is_done(state: NebStep, settings: NebSettings) -> bool:
    return state.climbing and state.max_force <= settings.max_force


def _check_ends(first: Atoms, last: Atoms) -> None:
    if len(first) != len(last) or (first.numbers != last.numbers).any():
        raise StructureError(
            f"the ends are {first.get_chemical_formula()} and {last.get_chemical_formula()}, or "
            "their atoms stand in another order; a path needs the same atoms in the same order"
        )
    if not np.allclose(first.cell.array, last.cell.array, atol=1e-6):
        raise StructureError("the ends have different cells; a path needs the same cell")


def _ends(
    first: Atoms, last: Atoms, calculator: BaseCalculator, settings: NebSettings
) -> tuple[Atoms, Atoms]:
    if not settings.relax_ends:
        return first.copy(), last.copy()
    limits = RelaxSettings(max_force=settings.max_force / 10.0)
    begin, end = (require_converged(relax(one, calculator, limits)) for one in (first, last))
    return begin, end


def _interpolated(first: Atoms, last: Atoms, settings: NebSettings) -> list[Atoms]:
    images = [first.copy() for _ in range(settings.n_images + 1)]
    images.append(last.copy())
    images[-1].set_constraint(first.constraints)
    shortest = bool(first.pbc.any())
    NEB(images, method=settings.method).interpolate("idpp", mic=shortest, apply_constraint=False)
    return images


def _last_path(
    first: Atoms, calculator: BaseCalculator, trajectory: str | Path | None, n_images: int
) -> tuple[list[Atoms], int]:
    if trajectory is None or not Path(trajectory).is_file():
        raise DataError(f"there is no trajectory {trajectory} to resume; start without resume")
    with Trajectory(str(trajectory), "r") as frames:
        n_paths = len(frames) // n_images  # a path that was not finished does not count
        if (
            n_paths == 0
            or frames[0].info.get(IMAGES_KEY) != n_images
            or frames[0].get_chemical_symbols() != first.get_chemical_symbols()
        ):
            raise DataError(
                f"{trajectory} holds no path of {n_images} images of this structure; start without "
                "resume"
            )
        found = [Atoms(frames[(n_paths - 1) * n_images + place]) for place in range(n_images)]
    for image in found:
        refuse_other_maker(image, calculator, trajectory)
        image.set_constraint(first.constraints)
    return found, n_paths - 1


def _tell(
    band: _Band, state: NebStep, file: Any, on_step: Callable[[NebStep], None] | None
) -> None:
    for image in band.images if file is not None else ():
        image.info |= {IMAGES_KEY: len(band.images), MADE_BY_KEY: maker_of(band.calculator)}
        file.write(image)
    if on_step is not None:
        on_step(state)


def _result(images: list[Atoms], state: NebStep, converged: bool) -> NebResult:
    energies = np.array([image.get_potential_energy() for image in images])
    ways = [0.0]
    for before, after in pairwise(images):
        steps, _ = find_mic(after.positions - before.positions, before.cell, before.pbc)
        ways.append(ways[-1] + float(np.linalg.norm(steps)))
    return NebResult(
        images=tuple(images),
        atoms=images[int(energies.argmax())],
        converged=converged,
        reason="converged" if converged else f"not converged after {state.n_steps} steps",
        n_steps=state.n_steps,
        barrier=float(energies.max() - energies[0]),
        reverse_barrier=float(energies.max() - energies[-1]),
        reaction_energy=float(energies[-1] - energies[0]),
        max_force=state.max_force,
        distances=np.array(ways),
        energies=energies - energies[0],
    )
