"""Crystal prototypes to decorate: primitive cells in units of the cubic lattice constant.

These are the Strukturbericht types B1, B3, B2, C1, L1_2, E2_1, C1_b and L2_1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

FCC = ((0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0))
SIMPLE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True, kw_only=True)
class Prototype:
    """Sites of a crystal, by kind."""

    lattice: tuple[tuple[float, ...], ...]
    """Rows are the lattice vectors"""
    sites: tuple[tuple[int, tuple[float, float, float]], ...]
    """Kind (0 is A) and Cartesian place"""

    @property
    def n_kinds(self) -> int:
        """How many elements it takes."""
        return 1 + max(kind for kind, _ in self.sites)

    def crystal(self, symbols: Sequence[str], radius_scale: float = 1.0) -> Atoms:
        """The smallest crystal in which no two atoms are closer than their covalent radii say.

        Args:
            symbols: of the kinds A, B, ...
            radius_scale: factor of the radii.
        """
        numbers = np.array([atomic_numbers[symbols[kind]] for kind, _ in self.sites])
        places = np.array([place for _, place in self.sites])
        lattice = np.array(self.lattice)
        radii = radius_scale * covalent_radii[numbers]
        steps = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        vectors = places[None, :, None] - places[:, None, None] + steps @ lattice
        distances = np.linalg.norm(vectors, axis=3)  # [sites, sites, 27]
        distances[distances < 1e-9] = np.inf
        wanted = (radii[:, None] + radii[None, :])[:, :, None]
        constant = float((wanted / distances).max())
        return Atoms(
            numbers=numbers, positions=constant * places, cell=constant * lattice, pbc=True
        )


PROTOTYPES: dict[str, Prototype] = {
    "rock-salt": Prototype(lattice=FCC, sites=((0, (0, 0, 0)), (1, (0.5, 0.5, 0.5)))),
    "zincblende": Prototype(lattice=FCC, sites=((0, (0, 0, 0)), (1, (0.25, 0.25, 0.25)))),
    "cesium-chloride": Prototype(lattice=SIMPLE, sites=((0, (0, 0, 0)), (1, (0.5, 0.5, 0.5)))),
    "fluorite": Prototype(
        lattice=FCC, sites=((0, (0, 0, 0)), (1, (0.25, 0.25, 0.25)), (1, (0.75, 0.75, 0.75)))
    ),
    "copper-gold": Prototype(  # L1_2, Cu3Au: A at the corner
        lattice=SIMPLE,
        sites=((0, (0, 0, 0)), (1, (0, 0.5, 0.5)), (1, (0.5, 0, 0.5)), (1, (0.5, 0.5, 0))),
    ),
    "perovskite": Prototype(  # ABC3: A at the corner, B in the center
        lattice=SIMPLE,
        sites=(
            (0, (0, 0, 0)),
            (1, (0.5, 0.5, 0.5)),
            (2, (0, 0.5, 0.5)),
            (2, (0.5, 0, 0.5)),
            (2, (0.5, 0.5, 0)),
        ),
    ),
    "half-heusler": Prototype(
        lattice=FCC, sites=((0, (0, 0, 0)), (1, (0.25, 0.25, 0.25)), (2, (0.5, 0.5, 0.5)))
    ),
    "heusler": Prototype(  # ABC2
        lattice=FCC,
        sites=(
            (0, (0, 0, 0)),
            (1, (0.5, 0.5, 0.5)),
            (2, (0.25, 0.25, 0.25)),
            (2, (0.75, 0.75, 0.75)),
        ),
    ),
}
"""Name -> sites."""
