"""Counts: elements, compositions, how to hold out, what fine-tuning has to work with."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from training.doctor.examined import Examined
from training.doctor.report import Finding

ENOUGH_COMPOSITIONS = 20
"""From which a tenth of them can be held out."""
RARE = 10
"""Structures of an element below which a model hardly learns it."""


def facts_of(file: Examined) -> dict[str, Any]:
    """Counts for JSON: labels, atoms, elements, compositions, groups, charges."""
    present = file.counts > 0.0
    elements = {
        chemical_symbols[z]: int(present[:, z].sum()) for z in np.flatnonzero(present.any(axis=0))
    }
    groups = {sample.group for sample in file.samples if sample.group}
    with_forces = np.isfinite(file.rms_forces)
    return {
        "usable_rows": len(file.samples),
        "atoms": int(file.n_atoms.sum()),
        "largest_structure": int(file.n_atoms.max(initial=0)),
        "energies": int(np.isfinite(file.energies).sum()),
        "force_components": int(3 * file.n_atoms[with_forces].sum()),
        "stresses": int(np.isfinite(file.stresses).all(axis=(1, 2)).sum()),
        "elements": elements,
        "compositions": len(set(file.compositions)),
        "groups": len(groups),
        "charges": dict(Counter(sample.charge for sample in file.samples)),
        "multiplicities": dict(Counter(sample.multiplicity for sample in file.samples)),
    }


def check_elements(file: Examined) -> list[Finding]:
    """Elements with the number of structures of each."""
    elements = facts_of(file)["elements"]
    common = sorted(elements.items(), key=lambda entry: -entry[1])
    shown = ", ".join(f"{symbol} {count}" for symbol, count in common[:12])
    words = shown if len(common) <= 12 else f"{shown}, and {len(common) - 12} more"
    rare = [symbol for symbol, count in common if count < RARE]
    if rare and len(file.samples) >= 3 * RARE and len(rare) < len(common):
        words += f"; fewer than {RARE} structures: {', '.join(rare)}"
    return [Finding(check="elements", verdict="ok", message=words or "none")]


def check_split(file: Examined) -> list[Finding]:
    """Which rule for holding out fits the number of compositions and groups."""
    facts = facts_of(file)
    n_compositions, n_groups = facts["compositions"], facts["groups"]
    counts = f"{n_compositions} compositions, {n_groups or 'no'} groups"
    if n_groups >= ENOUGH_COMPOSITIONS:
        message = f"{counts}: hold out by group"
    elif n_compositions >= ENOUGH_COMPOSITIONS:
        message = f"{counts}: hold out by composition"
    else:
        message = (
            f"{counts}: too few to hold out by composition, so at random; rows of one trajectory "
            "then stand on both sides and errors look too small. Name its key: --keys group=KEY"
        )
    return [Finding(check="split", verdict="ok", message=message)]


def check_amount(file: Examined) -> list[Finding]:
    """Numbers that training will see."""
    facts = facts_of(file)
    message = (
        f"{facts['usable_rows']} structures of up to {facts['largest_structure']} atoms: "
        f"{facts['energies']} energies, {facts['force_components']} force components, "
        f"{facts['stresses']} stresses"
    )
    few = facts["energies"] + facts["force_components"] < 100
    return [Finding(check="amount", verdict="suspicious" if few else "ok", message=message)]
