"""Pretrained multi-head graph foundation models for atoms, as ASE calculators.

    from atomfm_calc import FoundationCalc
    atoms.calc = FoundationCalc("painn-lead", head="...")

Importing this package loads no torch; the names below do when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atomfm_calc.calculators.batch import predict_many
    from atomfm_calc.calculators.calculator import FoundationCalc
    from atomfm_calc.registry.catalog import list_models, load_model

__version__ = "0.1.0"

__all__ = ["FoundationCalc", "__version__", "list_models", "load_model", "predict_many"]

_HOMES = {
    "FoundationCalc": "atomfm_calc.calculators.calculator",
    "list_models": "atomfm_calc.registry.catalog",
    "load_model": "atomfm_calc.registry.catalog",
    "predict_many": "atomfm_calc.calculators.batch",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
