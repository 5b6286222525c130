"""What is done with a calculator, by name: functions on any ASE calculator, with frozen results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from atomfm_calc.workflows.dynamics import run_dynamics
from atomfm_calc.workflows.relax import relax

WORKFLOWS: dict[str, Callable[..., Any]] = {"relax": relax, "md": run_dynamics}
"""Each takes `(atoms, calculator, settings, ...)` and changes none of them."""
