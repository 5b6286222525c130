"""Calculators of others, as `atomfm check` takes them; each in an environment that has it.

atomfm check --calculator benchmarks/checked.py:gfn1_xtb --precision self-consistent
"""

from __future__ import annotations

from functools import cache
from typing import Any

from ase.calculators.calculator import BaseCalculator


def gfn1_xtb() -> BaseCalculator:
    """GFN1-xTB by tblite; crystals at the Γ point."""
    from tblite.ase import TBLite

    return TBLite(method="GFN1-xTB", accuracy=0.01, verbosity=0)


@cache
def _mace_model(dtype: str) -> Any:
    """Built once: it takes seconds, and the checks want some thirty calculators."""
    from adapters.mace import make_model

    model = make_model().requires_grad_(False).eval()
    return model.double() if dtype == "float64" else model


def mace(dtype: str = "float32") -> BaseCalculator:
    """MACE, random weights in the size of its small models."""
    from mace.calculators import MACECalculator

    return MACECalculator(models=_mace_model(dtype), device="cpu", default_dtype=dtype)


def mace_float64() -> BaseCalculator:
    """The same in float64."""
    return mace("float64")


@cache
def _chgnet_model() -> Any:
    from chgnet.model.model import CHGNet

    return CHGNet.load(use_device="cpu", verbose=False)


def chgnet() -> BaseCalculator:
    """CHGNet with the trained weights in its package."""
    from chgnet.model.dynamics import CHGNetCalculator

    return CHGNetCalculator(_chgnet_model(), use_device="cpu")
