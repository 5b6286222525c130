"""Metrics against their definitions, and the fit of compositions."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from downstream.additive import fit_additive
from downstream.modes import MODES
from downstream.periodic_table import element_map
from downstream.plots import COLORS
from downstream.scores import N_BINS, _calibration, roc_auc


def test_the_area_is_the_part_of_pairs_in_the_right_order() -> None:
    generator = np.random.default_rng(0)
    probability = generator.integers(0, 6, 30) / 6.0  # with ties
    member = generator.random(30) < probability
    pairs = list(product(probability[member], probability[~member]))
    expected = np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs])
    assert roc_auc(member, probability) == pytest.approx(expected)


def test_one_class_alone_has_no_area() -> None:
    assert np.isnan(roc_auc(np.array([True, True]), np.array([0.1, 0.9])))


def test_every_structure_is_in_one_bin_of_the_calibration() -> None:
    confidence = np.linspace(0.0, 1.0, 41)
    bins = _calibration(confidence, confidence > 0.5)
    assert sum(number for _, _, number in bins) == 41
    assert len(bins) == N_BINS
    assert bins[-1][1] == 1.0


def test_a_linear_property_of_the_composition_is_found() -> None:
    counts = np.zeros((40, 119))
    counts[:, [1, 6, 8]] = np.random.default_rng(1).integers(1, 5, (40, 3))
    energies = np.array([-1.0, -7.0, -3.0])
    per_atom = counts[:, [1, 6, 8]] @ energies / counts.sum(axis=1)
    fitted = fit_additive(counts, per_atom)
    assert fitted.references[[1, 6, 8]] == pytest.approx(energies, abs=0.05)
    assert fitted.deviation < 0.01


def test_fewer_structures_than_elements_are_not_explained_away() -> None:
    generator = np.random.default_rng(2)
    counts = np.zeros((10, 119))
    for row in range(10):
        counts[row, generator.choice(np.arange(1, 80), 3, replace=False)] = 1.0
    values = generator.normal(size=10)  # noise: no composition says anything about it
    fitted = fit_additive(counts, values)
    assert fitted.deviation > 0.8 * values.std()


def test_the_map_shows_error_and_number() -> None:
    page = element_map({"Fe": {"error": 0.25, "n": 7}})
    assert "<b>Fe</b><small>0.25</small><small>7</small>" in page


def test_every_mode_has_a_color() -> None:
    assert set(COLORS) == set(MODES)
