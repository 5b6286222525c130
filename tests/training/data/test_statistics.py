"""References and scales are found where the data determines them, and sensible where not."""

from __future__ import annotations

import numpy as np
import pytest

from atomfm_calc.errors import DataError
from training.data.statistics import composition_matrix, fit_references, fit_scale

TRUE = {1: -13.6, 6: -1030.0, 8: -2041.0}


def _compositions(generator: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    n_atoms = generator.integers(3, 12, count)
    numbers = generator.choice([1, 6, 8], n_atoms.sum())
    counts = composition_matrix(numbers, n_atoms)
    return counts, sum(energy * counts[:, z] for z, energy in TRUE.items())


def test_the_composition_matrix_counts_atoms() -> None:
    counts = composition_matrix(np.array([1, 8, 1, 6]), np.array([3, 1]))
    assert counts[0, 1] == 2
    assert counts[0, 8] == 1
    assert counts[1, 6] == 1
    assert counts.sum() == 4


def test_energies_that_are_sums_over_elements_are_recovered() -> None:
    counts, energies = _compositions(np.random.default_rng(0), 200)
    references = fit_references(counts, energies)
    for z, energy in TRUE.items():
        assert references[z] == pytest.approx(energy, abs=1e-3)


def test_one_composition_alone_is_matched_and_stays_near_its_isolated_atoms() -> None:
    counts = np.zeros((50, 119))
    counts[:, [1, 6, 8]] = [6, 2, 1]
    energies = np.full(50, 6 * -13.6 + 2 * -1030.0 - 2041.0 - 30.0)
    references = fit_references(counts, energies, TRUE)
    assert counts[0] @ references == pytest.approx(energies[0], abs=0.1)
    for z, energy in TRUE.items():
        assert abs(references[z] - energy) < 10.0


def test_an_element_that_was_never_seen_has_an_energy_of_the_usual_size() -> None:
    generator = np.random.default_rng(1)
    n_atoms = np.full(100, 4)
    counts = composition_matrix(generator.choice([3, 11, 29], 400), n_atoms)
    energies = -4.0 * n_atoms + generator.normal(0.0, 0.2, 100)
    references = fit_references(counts, energies)
    assert references[47] == pytest.approx(-4.0, abs=0.5)


def test_a_prior_that_lacks_an_element_is_refused() -> None:
    counts, energies = _compositions(np.random.default_rng(0), 20)
    with pytest.raises(DataError, match="no energy of the elements"):
        fit_references(counts, energies, {1: -13.6})


def test_the_scale_is_the_rms_force_component() -> None:
    counts, energies = _compositions(np.random.default_rng(0), 2)
    forces = np.array([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0], [np.nan] * 3])
    # six labeled components: sqrt((9 + 16) / 6)
    assert fit_scale(counts, energies, forces, np.zeros(119)) == pytest.approx(np.sqrt(25 / 6))


def test_relaxed_structures_take_their_scale_from_the_energies() -> None:
    counts = composition_matrix(np.array([1, 1, 1, 1]), np.array([1, 1, 2]))
    energies = np.array([1.0, 3.0, 4.0])  # 1, 3 and 2 eV per atom
    scale = fit_scale(counts, energies, np.full((4, 3), 0.001), np.zeros(119))
    assert scale == pytest.approx(np.std([1.0, 3.0, 2.0]))
