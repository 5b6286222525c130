"""Calculators of others, as `atomfm check` takes them; each in an environment that has it.

atomfm check --calculator benchmarks/checked.py:gfn1_xtb --precision self-consistent
"""

from __future__ import annotations

from ase.calculators.calculator import BaseCalculator


def gfn1_xtb() -> BaseCalculator:
    """GFN1-xTB by tblite; crystals at the Γ point."""
    from tblite.ase import TBLite

    return TBLite(method="GFN1-xTB", accuracy=0.01, verbosity=0)


def mace() -> BaseCalculator:
    """MACE, random weights in the size of its small models, float32."""
    from adapters.mace import make

    return make("cpu", {}).calculator()


def mace_float64() -> BaseCalculator:
    """The same in float64."""
    from adapters.mace import make_model
    from mace.calculators import MACECalculator

    model = make_model().double().requires_grad_(False).eval()
    return MACECalculator(models=model, device="cpu", default_dtype="float64")


def chgnet() -> BaseCalculator:
    """CHGNet with the trained weights in its package."""
    from chgnet.model.dynamics import CHGNetCalculator

    return CHGNetCalculator(use_device="cpu")
