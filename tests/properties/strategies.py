"""Structures as users bring them, and as they should not: any cell, pbc, size, element, trouble.

Hypothesis draws the kinds and a few numbers; coordinates come of a seed that it draws, so that 200
atoms cost no more choices than two.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from hypothesis import strategies as st
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

ELEMENTS = st.sampled_from([1, 6, 7, 8, 11, 13, 14, 17, 18, 26, 29])
"""Those that the tiny models of the tests have seen."""
ANY_NUMBER = st.one_of(ELEMENTS, st.integers(1, 118), st.sampled_from([0, 119, 250]))
"""Elements and what is none."""
SIZES = st.one_of(st.integers(1, 4), st.integers(5, 30), st.integers(31, 200))
PBC = st.tuples(st.booleans(), st.booleans(), st.booleans())
SEEDS = st.integers(0, 2**32 - 1)
SPACING = 2.2
"""Å between neighbors, about."""
TROUBLES = ("none", "overlap", "near", "not-finite", "far", "outside", "cell")


@st.composite
def sound_structures(draw: st.DrawFn, sizes: st.SearchStrategy[int] = SIZES) -> Atoms:
    """Structures that a calculator has to compute: no two atoms closer than 0.6 Å.

    Cells are cubic, long, skewed, left-handed or the same lattice in other vectors; atoms lie
    inside, outside and far from the origin; pbc is any mixture.
    """
    n_atoms, pbc = draw(sizes), draw(PBC)
    generator = np.random.default_rng(draw(SEEDS))
    n_sites = int(np.ceil(np.cbrt(n_atoms)))
    grid = np.stack(np.meshgrid(*[np.arange(n_sites)] * 3, indexing="ij"), -1).reshape(-1, 3)
    sites = generator.permutation(grid)[:n_atoms] + generator.uniform(-0.3, 0.3, (n_atoms, 3))
    cell = _lattice(draw, generator) * SPACING * n_sites
    positions = (sites / n_sites) @ cell
    numbers = generator.choice(draw(st.lists(ELEMENTS, min_size=1, max_size=4)), n_atoms)
    atoms = Atoms(numbers, positions, cell=cell, pbc=pbc)
    if draw(st.booleans()):  # the same lattice, described by other vectors
        first, second = draw(st.permutations(range(3)))[:2]
        if pbc[first] and pbc[second]:
            cell[first] += draw(st.integers(-2, 2)) * cell[second]
            atoms.set_cell(cell)
    if draw(st.booleans()):
        shifts = generator.integers(-2, 3, (n_atoms, 3)) * np.array(pbc)
        atoms.positions += shifts @ cell + generator.uniform(-50.0, 50.0, 3)
    return atoms


def _lattice(draw: st.DrawFn, generator: np.random.Generator) -> Matrix:
    """Vectors of length 1 to 3 with heights above 0.75: sites stay apart."""
    cell = np.diag(generator.uniform(1.0, 1.4, 3))
    if draw(st.booleans()):  # long
        cell[draw(st.integers(0, 2))] *= 3.0
    if draw(st.booleans()):  # skewed
        cell = cell @ (np.eye(3) + np.tril(generator.uniform(-0.25, 0.25, (3, 3)), -1))
    if draw(st.booleans()):  # left-handed
        cell = cell[[1, 0, 2]]
    return cell


@st.composite
def any_structures(draw: st.DrawFn, sizes: st.SearchStrategy[int] = SIZES) -> Atoms:
    """A sound structure, or one with a trouble; also no atoms at all."""
    if draw(st.integers(0, 30)) == 0:
        return Atoms(cell=draw(st.sampled_from([None, [3.0, 3.0, 3.0]])), pbc=draw(PBC))
    atoms = draw(sound_structures(sizes))
    trouble = draw(st.sampled_from(TROUBLES))
    last = len(atoms) - 1
    if trouble == "overlap":
        atoms.positions[last] = atoms.positions[0] + draw(
            st.sampled_from([0.0, 1e-12, 1e-3, 0.29, 0.31])
        )
    elif trouble == "near":
        atoms.positions *= draw(st.floats(0.05, 0.9))
    elif trouble == "not-finite":
        wrong = st.sampled_from([np.nan, np.inf, -np.inf, 1e300])
        atoms.positions[draw(st.integers(0, last)), draw(st.integers(0, 2))] = draw(wrong)
    elif trouble == "far":
        atoms.positions += draw(st.sampled_from([1e4, 1e8, 1e15]))
    elif trouble == "outside":
        atoms.positions[last] += draw(st.floats(-1e4, 1e4))
    elif trouble == "cell":
        atoms.set_cell(_strange_cell(draw, np.array(atoms.cell.array)))
    if draw(st.integers(0, 5)) == 0:
        atoms.numbers[draw(st.integers(0, last))] = draw(ANY_NUMBER)
    if draw(st.integers(0, 5)) == 0:
        atoms.info["charge"] = draw(st.sampled_from([0, 1, -1, 3, 1.5, "x", 10**6]))
    return atoms


def _strange_cell(draw: st.DrawFn, cell: Matrix) -> Matrix:
    kind = draw(st.sampled_from(["flat", "zero", "tiny", "thin", "huge", "not-finite"]))
    row = draw(st.integers(0, 2))
    if kind == "flat":
        cell[row] = cell[(row + 1) % 3] * draw(st.floats(-2.0, 2.0))
    elif kind == "zero":
        cell[row] = 0.0
    elif kind == "tiny":
        cell *= draw(st.floats(1e-6, 0.3))
    elif kind == "thin":  # vectors that are long, nearly parallel, and not quite flat
        cell[row] = cell[(row + 1) % 3] + draw(st.floats(1e-6, 0.1)) * cell[row]
    elif kind == "huge":
        cell *= draw(st.floats(1.0, 1e4))
    else:
        cell[row, draw(st.integers(0, 2))] = draw(st.sampled_from([np.nan, np.inf]))
    return cell


@st.composite
def rotations(draw: st.DrawFn) -> Matrix:
    """Orthogonal matrices, proper or not: [3, 3]."""
    generator = np.random.default_rng(draw(SEEDS))
    return np.linalg.qr(generator.normal(size=(3, 3)))[0]
