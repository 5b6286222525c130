"""The contract of an ASE calculator as a table of checks, for any calculator: ours or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from atomfm_calc.conformance import derivatives, size, smoothness, state, symmetry
from atomfm_calc.conformance.outcome import Deviation
from atomfm_calc.conformance.subject import Subject

Check = Callable[[Subject], Iterator[Deviation]]
"""Measures a subject; its docstring says what has to hold. Raises NotApplicableError with a reason
where it says nothing about a calculator."""

CHECKS: dict[str, Check] = {
    "cache": state.cache,
    "repeatability": state.repeatability,
    "side effects": state.side_effects,
    "copies": state.copies,
    "not finite": state.not_finite,
    "forces": derivatives.forces,
    "stress": derivatives.stress,
    "energy conservation": derivatives.conservation,
    "rotation": symmetry.rotation,
    "reflection": symmetry.reflection,
    "translation": symmetry.translation,
    "permutation": symmetry.permutation,
    "wrapping": symmetry.wrapping,
    "supercell": size.supercell,
    "far copies": size.far_copies,
    "locality": size.locality,
    "mixed pbc": size.mixed_pbc,
    "lone atoms": size.lone_atoms,
    "cutoff": smoothness.cutoff,
    "symmetric sites": smoothness.symmetric_sites,
    "batch": state.batch,
}
"""What every calculator has to keep, in the order of the report card."""
