"""The kernels that every machine runs, which the contracts are about."""

from __future__ import annotations

from atomfm_calc.kernels import KERNELS

ON_CPU = [name for name in KERNELS if name != "cuda"]
"""Computing on the CPU; for "cuda" see `tests/contract/interpreted_kernel.py`."""
OTHERS = [name for name in ON_CPU if name != "reference"]
"""All of them but the one that defines the result."""
