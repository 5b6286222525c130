"""`compute_many`: energies, forces and stress of many structures, in one batch where that goes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.trajectory import Trajectory
from ase.stress import voigt_6_to_full_3x3_stress
from numpy.typing import NDArray

from atomfm_calc.convert import voigt_stress
from atomfm_calc.errors import DataError

MADE_BY_KEY = "made_by"
"""Key of `atoms.info` in kept files and trajectories: what computed a structure."""
DECIDES = ("model", "weights_sha256", "head", "gate_sha256")
"""What makes two fingerprints those of different energies; the others change rounding."""


class Computed(NamedTuple):
    """What a calculator says about one structure."""

    energy: float
    """eV"""
    forces: NDArray[np.float64] | None
    """[N, 3] eV/Å, those on fixed atoms included; None if not asked for"""
    stress: NDArray[np.float64] | None
    """[3, 3] eV/Å³, tension positive; None if not asked for"""


def compute_many(
    calculator: BaseCalculator,
    structures: Iterable[Atoms],
    want: Sequence[str] = ("energy", "forces"),
    *,
    keep: str | Path | None = None,
) -> list[Computed]:
    """Compute structures, in one call of `calculator.predict_many` if it has one.

    Args:
        calculator: any ASE calculator.
        structures: are not changed.
        want: "energy" and any of "forces", "stress".
        keep: file (.traj) that gets each structure when it is computed. What it already holds, of
            an earlier call with the same structures, is not computed again; None: no file.

    Returns:
        Results in the order of the structures.

    Raises:
        DataError: `keep` holds other structures, or results of another calculator.
    """
    wanted = list(structures)
    if keep is None:
        return list(_compute(calculator, wanted, want))
    maker = maker_of(calculator)
    found = _kept(Path(keep), wanted, want, maker)
    rest = wanted[len(found) :]
    with Trajectory(str(keep), "a" if found else "w") as file:
        for atoms, computed in zip(rest, _compute(calculator, rest, want), strict=True):
            labeled = with_computed(atoms, computed)
            labeled.info[MADE_BY_KEY] = maker
            file.write(labeled)
            found.append(computed)
    return found


def with_computed(atoms: Atoms, computed: Computed) -> Atoms:
    """A copy of a structure with its results attached."""
    labeled: Atoms = atoms.copy()
    values: dict[str, Any] = {"energy": computed.energy, "free_energy": computed.energy}
    if computed.forces is not None:
        values["forces"] = computed.forces
    if computed.stress is not None:
        values["stress"] = voigt_stress(computed.stress)
    labeled.calc = SinglePointCalculator(labeled, **values)
    return labeled


def forces_of_many(
    calculator: BaseCalculator, structures: Iterable[Atoms], keep: str | Path | None = None
) -> NDArray[np.float64]:
    """Forces [S, N, 3] in eV/Å of structures of the same size; see `compute_many`."""
    return np.stack(
        [
            one.forces
            for one in compute_many(calculator, structures, keep=keep)
            if one.forces is not None
        ]
    )


def _compute(
    calculator: BaseCalculator, structures: list[Atoms], want: Sequence[str]
) -> Iterator[Computed]:
    together: Callable[..., Iterable[Any]] | None = getattr(calculator, "predict_many", None)
    if together is not None:
        for result in together(structures, want=tuple(want)):
            yield Computed(result.energy, result.forces, result.stress)
        return
    for atoms in structures:
        own = atoms.copy()  # some calculators write to what they are given
        # the most expensive first: the others come with it
        stress = (
            voigt_6_to_full_3x3_stress(calculator.get_stress(own)) if "stress" in want else None
        )
        forces = np.array(calculator.get_forces(own)) if "forces" in want else None
        yield Computed(float(calculator.get_potential_energy(own)), forces, stress)


def maker_of(calculator: BaseCalculator) -> str:
    """What a calculator says about itself: its `fingerprint()` as JSON, or else its class."""
    fingerprint = getattr(calculator, "fingerprint", None)
    name = type(calculator).__name__
    return name if fingerprint is None else json.dumps(fingerprint(), sort_keys=True)


def refuse_other_maker(frame: Atoms, calculator: BaseCalculator, path: str | Path) -> None:
    """Refuse to go on in a trajectory of another model or head.

    Raises:
        DataError: the last structure, which is `frame`, was computed by something else.
    """
    found, own = frame.info.get(MADE_BY_KEY), maker_of(calculator)
    if found is not None and _decisive(found) != _decisive(own):
        raise DataError(
            f"{path} was computed by {found}, this calculator is {own}: energies would jump. "
            "Resume with the same model and head, or start anew in another file"
        )


def _decisive(maker: str) -> dict[str, Any]:
    content = json.loads(maker) if maker.startswith("{") else {"model": maker}
    return {key: content.get(key) for key in DECIDES}


def _kept(path: Path, wanted: list[Atoms], want: Sequence[str], maker: str) -> list[Computed]:
    if not path.is_file() or path.stat().st_size == 0:
        return []
    found = []
    with Trajectory(str(path), "r") as frames:
        for place, frame in enumerate(frames):
            if place >= len(wanted) or not _same(frame, wanted[place]):
                raise DataError(f"{path} holds other structures; remove it or name another file")
            if frame.info.get(MADE_BY_KEY) != maker:
                raise DataError(
                    f"{path} holds results of another calculator ({frame.info.get(MADE_BY_KEY)}); "
                    "remove it or name another file"
                )
            results = frame.calc.results
            stress = voigt_6_to_full_3x3_stress(results["stress"]) if "stress" in want else None
            forces = results["forces"] if "forces" in want else None
            found.append(Computed(float(results["energy"]), forces, stress))
    return found


def _same(one: Atoms, other: Atoms) -> bool:
    return (
        len(one) == len(other)
        and bool((one.numbers == other.numbers).all())
        and np.allclose(one.positions, other.positions, rtol=0.0, atol=1e-6)
        and np.allclose(one.cell.array, other.cell.array, rtol=0.0, atol=1e-6)
    )
