"""Radial functions, repulsion, heads and the book-keeping of a model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from atomfm_calc.config import parse_config
from atomfm_calc.errors import ConfigError, UnknownNameError
from atomfm_calc.models import build_backbone
from atomfm_calc.models.architecture import Architecture, PainnConfig
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.models.radial import bessel_basis, cosine_cutoff, polynomial_envelope
from atomfm_calc.models.repulsion import ZBLRepulsion
from atomfm_calc.neighbors import graph_from_sample
from atomfm_calc.sample import Sample
from tests.made.models import small_model


def _dimer(numbers: tuple[int, int], distance: float) -> Sample:
    positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, distance]])
    return Sample(atomic_numbers=np.array(numbers), positions=positions)


def _repulsion(numbers: tuple[int, int], distance: float) -> torch.Tensor:
    return ZBLRepulsion()(graph_from_sample(_dimer(numbers, distance), 5.0))


def test_the_radial_basis_is_orthonormal_on_the_sphere() -> None:
    # sin(n pi d / c) / d: the integral of d² times a product of two is delta_mn for norm sqrt(2/c)
    distances = torch.linspace(1e-6, 5.0, 20001, dtype=torch.float64)
    basis = bessel_basis(distances, 4, 5.0) * distances[:, None]
    overlap = torch.trapezoid(basis[:, :, None] * basis[:, None, :], distances, dim=0)
    torch.testing.assert_close(overlap, torch.eye(4, dtype=torch.float64), atol=1e-6, rtol=0.0)


def test_the_cutoff_function_falls_from_one_to_zero_and_stays_there() -> None:
    distances = torch.tensor([0.0, 2.5, 5.0, 5.1, 9.0], dtype=torch.float64)
    expected = torch.tensor([1.0, 0.5, 0.0, 0.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(cosine_cutoff(distances, 5.0), expected, atol=1e-15, rtol=0.0)


@pytest.mark.parametrize("power", [3, 6])
def test_the_envelope_has_the_closed_form_of_the_paper(power: int) -> None:
    x, p = torch.linspace(0.0, 1.0, 50, dtype=torch.float64), power
    paper = (
        1 - (p + 1) * (p + 2) / 2 * x**p + p * (p + 2) * x ** (p + 1)
        - p * (p + 1) / 2 * x ** (p + 2)
    )  # fmt: skip
    torch.testing.assert_close(polynomial_envelope(x, power), paper, atol=1e-13, rtol=0.0)


def test_the_envelope_is_accurate_in_single_precision_where_it_ends() -> None:
    ratio = torch.linspace(0.9, 1.0, 50, dtype=torch.float64)
    exact, single = polynomial_envelope(ratio), polynomial_envelope(ratio.float())
    # (1 - x)³ keeps the relative error of 1 - x: 3 x 6e-8 x x / (1 - x), absolute below 1e-8
    torch.testing.assert_close(single.double(), exact, atol=1e-8, rtol=1e-5)


def test_repulsion_at_close_range_is_the_screened_coulomb_energy_of_zbl() -> None:
    # two silicon nuclei at 0.2 Å: a = 0.8854 * 0.529177 / (2 * 14^0.23) = 0.12767 Å, x = 1.5666,
    # phi = 0.18175 e^-5.0128 + 0.50986 e^-1.4762 + 0.28022 e^-0.6312 + 0.02817 e^-0.3159 = 0.28732;
    # 14.39964 * 14² / 0.2 * phi = 4054.6 eV; the envelope at 0.2 / 2.22 is 1 - 2e-5
    assert _repulsion((14, 14), 0.2).sum().item() == pytest.approx(4054.6, rel=1e-4)


def test_repulsion_falls_without_end_until_it_is_zero_at_the_sum_of_the_radii() -> None:
    distances = np.arange(0.3, 2.5, 0.05)  # covalent radii of Si and O: 1.11 + 0.66 = 1.77 Å
    energies = np.array([_repulsion((14, 8), d).sum().item() for d in distances])
    inside = distances < 1.77
    assert (np.diff(energies[inside]) < 0.0).all()
    assert (energies[~inside] == 0.0).all()


def test_repulsion_is_shared_equally_by_the_two_atoms() -> None:
    first, second = _repulsion((79, 1), 0.9).tolist()
    assert first == second > 0.0


def test_a_model_without_repulsion_has_none() -> None:
    with_it = small_model(("a",))
    without = FoundationModel(replace(with_it.architecture, repulsion="none"), ("a",))
    without.load_state_dict(with_it.state_dict())
    graph = graph_from_sample(_dimer((14, 14), 1.0), with_it.cutoff, torch.float32)
    difference = with_it.energy(graph, "a").structures - without.energy(graph, "a").structures
    expected = _repulsion((14, 14), 1.0).sum().item()
    assert difference.item() == pytest.approx(expected, rel=1e-5)


def test_the_energy_of_a_lone_atom_moves_with_its_reference() -> None:
    model = small_model(("a", "b"))
    lone = Sample(atomic_numbers=np.array([8]), positions=np.zeros((1, 3)))
    graph = graph_from_sample(lone, model.cutoff, torch.float32)
    before = model.energy(graph, "a").structures
    model.head("a").references[8] -= 2041.0
    assert (model.energy(graph, "a").structures - before).item() == pytest.approx(-2041.0)


@pytest.mark.parametrize("name", ["all", "mixture", "PBE", "2d", "pbe_crystals", "", "a.b"])
def test_a_head_name_that_could_be_mistaken_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="begin with a letter"):
        small_model(("a",)).add_head(name)


def test_a_head_name_is_given_once() -> None:
    with pytest.raises(ConfigError, match="there already is a head 'a'"):
        small_model(("a", "b")).add_head("a")


def test_heads_are_added_at_the_end_and_dropped_by_name() -> None:
    model = small_model(("a", "b"))
    model.add_head("c")
    model.drop_head("a")
    assert model.head_names == ("b", "c")
    with pytest.raises(UnknownNameError, match="no head 'a'; this model has: b, c"):
        model.energy_of("a")


def test_an_unknown_backbone_or_kernel_is_refused_by_name() -> None:
    with pytest.raises(UnknownNameError, match="no backbone 'pain'.*Did you mean 'painn'"):
        build_backbone(Architecture(backbone="pain"))
    with pytest.raises(UnknownNameError, match="no kernel 'referenc'.*Did you mean 'reference'"):
        build_backbone(Architecture(), kernel="referenc")


@pytest.mark.parametrize(
    ("sizes", "message"),
    [({"n_layers": 0}, "n_layers is 0"), ({"cutoff": 0.0}, r"cutoff is 0.0 Å")],
)
def test_sizes_that_cannot_be_are_refused(sizes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(PainnConfig, sizes, origin="here")


def test_the_repulsion_has_exact_first_and_second_derivatives() -> None:
    sample = Sample(
        atomic_numbers=np.array([8, 1, 1, 14]),
        positions=np.array([[0.0, 0.0, 0.0], [0.6, 0.1, 0.0], [0.1, 0.7, 0.2], [0.2, 0.9, 1.1]]),
    )
    graph, repulsion = graph_from_sample(sample, 4.0), ZBLRepulsion().to(torch.float64)

    def energy(positions: torch.Tensor) -> torch.Tensor:
        return repulsion(graph._replace(positions=positions)).sum()

    positions = graph.positions.clone().requires_grad_(True)
    assert torch.autograd.gradcheck(energy, positions)
    assert torch.autograd.gradgradcheck(energy, positions)


def test_atoms_apart_do_not_repel_and_their_zeros_can_be_differentiated() -> None:
    sample = Sample(atomic_numbers=np.array([1, 1]), positions=np.array([[0.0, 0, 0], [0, 0, 2.0]]))
    graph = graph_from_sample(sample, 4.0)
    positions = graph.positions.clone().requires_grad_(True)
    energy = ZBLRepulsion()(graph._replace(positions=positions))
    assert energy.tolist() == [0.0, 0.0]
    assert not torch.autograd.grad(energy.sum(), positions)[0].any()
