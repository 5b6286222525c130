"""Structure generators: pure functions of a seed and an index, without labels."""

from __future__ import annotations

from collections.abc import Callable

from atomfm_calc.sample import Sample
from training.collection.generators.assembled import (
    generate_assembled,
    generate_assembled_pair,
)
from training.collection.generators.clusters import (
    generate_atom,
    generate_cluster,
    generate_complex,
    generate_dense,
    generate_dimer,
)
from training.collection.generators.coordination import generate_coordination
from training.collection.generators.crystals import generate_common, generate_decorated
from training.collection.generators.liquids import (
    generate_alcohol_box,
    generate_water_box,
    generate_water_cluster,
)
from training.collection.generators.molecules import (
    generate_ion,
    generate_molecule,
    generate_pair,
)
from training.collection.generators.slabs import generate_slab
from training.collection.generators.unit_cells import generate_unit_cell

GENERATORS: dict[str, Callable[..., Sample]] = {
    "molecule": generate_molecule,
    "ion": generate_ion,
    "pair": generate_pair,
    "assembled": generate_assembled,
    "assembled-pair": generate_assembled_pair,
    "atom": generate_atom,
    "dimer": generate_dimer,
    "complex": generate_complex,
    "cluster": generate_cluster,
    "coordination": generate_coordination,
    "dense": generate_dense,
    "water-box": generate_water_box,
    "water-cluster": generate_water_cluster,
    "alcohol-box": generate_alcohol_box,
    "slab": generate_slab,
    "unit-cell": generate_unit_cell,
    "common-crystal": generate_common,
    "decorated-crystal": generate_decorated,
}
"""Generators by name; each takes seed, index and its own options."""
