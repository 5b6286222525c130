"""A recipe in miniature: diatomic molecules whose properties are known functions of their bond."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from atomfm_calc.config import parse_config
from atomfm_calc.sample import Sample
from downstream.catalog import FoundRecipe
from downstream.recipe import Recipe

STIFFNESS, LENGTH = 8.0, 1.2
"""eV/Å² and Å of every bond."""
SOURCE = dict.fromkeys(("theory", "code", "licence", "doi", "address", "metric"), "made")
FILE = {"name": "made.txt", "obtain": "tests make it"}
TARGETS: dict[str, Any] = {"bond": {"unit": "angstrom"}}
SHORT: dict[str, Any] = {"max_steps": 6, "validate_every_steps": 3, "structures_per_step": 4}


def dimer(number: int, partner: int = 8, length: float | None = None) -> Sample:
    """Carbon and a partner, with all labels that the recipes here have."""
    bond = 1.0 + 0.03 * number if length is None else length
    stretch = bond - LENGTH
    force = np.array([2.0 * STIFFNESS * stretch, 0.0, 0.0])
    return Sample(
        atomic_numbers=np.array([6, partner]),
        positions=np.array([[0.0, 0.0, 0.0], [bond, 0.0, 0.0]]),
        targets={
            "energy": np.array(STIFFNESS * stretch**2 - 100.0 - partner),
            "forces": np.array([force, -force]),
            "bond": np.array(bond),
            "is_long": np.array(float(bond > LENGTH)),
            "distance": np.array([bond, bond]),
        },
        source=f"dimer-{number}",
        group=str(number % 5),
    )


def only(sample: Sample, *names: str) -> Sample:
    """The sample with some of its labels."""
    return replace(sample, targets={name: sample.targets[name] for name in names})


def recipe(model: Path, **sections: Any) -> Recipe:
    """Six steps with a tiny model; `sections` replace parts of the recipe."""
    content = {
        "name": "made",
        "title": "Bonds",
        "source": {**SOURCE, "files": [FILE]},
        "schedule": SHORT,
        "sizes": [8],
        "seeds": 1,
        "adapt": {"model": str(model)},
        **sections,
    }
    if "potential" not in content:
        content.setdefault("targets", TARGETS)
    return parse_config(Recipe, content, origin="tests")


def found(made: Recipe, n_structures: int = 16) -> FoundRecipe:
    """The recipe with a stand-in of dimers, without any public file."""
    labels = tuple(made.targets) if made.potential is None else made.potential.labels

    def read_stand_in() -> Iterator[Sample]:
        for number in range(n_structures):
            yield only(dimer(number, partner=(7, 8)[number % 2]), *labels)

    return FoundRecipe(
        recipe=made,
        folder=Path("made"),
        read=lambda folder: read_stand_in(),
        read_stand_in=read_stand_in,
        stand_in="dimers",
    )
