"""What is done with a calculator, by name: functions on any ASE calculator, with frozen results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from atomfm_calc.packages import require
from atomfm_calc.workflows.dynamics import run_dynamics
from atomfm_calc.workflows.equation_of_state import equation_of_state
from atomfm_calc.workflows.neb import nudged_elastic_band
from atomfm_calc.workflows.relax import relax
from atomfm_calc.workflows.surfaces import adsorption_energy, surface_energy
from atomfm_calc.workflows.vibrations import vibrations


def _elastic(*arguments: Any, **named: Any) -> Any:
    require("matscipy")
    from atomfm_calc.workflows.elastic import elastic_constants

    return elastic_constants(*arguments, **named)


def _phonons(*arguments: Any, **named: Any) -> Any:
    require("phonopy")
    from atomfm_calc.workflows.phonons import phonons

    return phonons(*arguments, **named)


def _quasi_harmonic(*arguments: Any, **named: Any) -> Any:
    require("phonopy")
    from atomfm_calc.workflows.quasi_harmonic import quasi_harmonic

    return quasi_harmonic(*arguments, **named)


WORKFLOWS: dict[str, Callable[..., Any]] = {
    "relax": relax,
    "md": run_dynamics,
    "eos": equation_of_state,
    "elastic": _elastic,
    "phonons": _phonons,
    "quasi-harmonic": _quasi_harmonic,
    "vibrations": vibrations,
    "neb": nudged_elastic_band,
    "surface": surface_energy,
    "adsorption": adsorption_energy,
}
"""Each takes `(atoms, ..., calculator, settings, ...)` and changes none of them. What reads
trajectories that are there, without a calculator, is in `trajectories`."""
