"""Less exact products of matrices: on request only, stated, and gone afterwards."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

from atomfm_calc.calculators.batch import predict_many
from atomfm_calc.calculators.calculator import FoundationCalc
from atomfm_calc.calculators.setup import CalculatorSettings
from atomfm_calc.errors import SetupError, UnknownNameError
from atomfm_calc.graph import AtomicGraph
from atomfm_calc.models.precision import matrix_products
from atomfm_calc.registry.catalog import load_model
from tests.atomfm_calc.calculators.conftest import Make

SWITCH = torch.backends.cuda.matmul
CUDA = torch.device("cuda")

BF16_FORCES = 0.02
"""Of the largest force: bfloat16 rounds to 2⁻⁸ = 0.4 %, three layers deep and their gradients."""


@pytest.mark.parametrize("kernel", ["reference", "cpu"])
def test_bf16_forces_are_near_those_of_float32(make_calc: Make, salt: Atoms, kernel: str) -> None:
    exact = make_calc(kernel=kernel).get_forces(salt)
    rounded = make_calc(kernel=kernel, matmul_precision="bf16").get_forces(salt)
    off = np.abs(rounded - exact).max() / np.abs(exact).max()
    assert 1e-6 < off < BF16_FORCES


def test_many_structures_are_rounded_as_one_is(
    make_calc: Make, model_folder: Path, salt: Atoms
) -> None:
    settings = CalculatorSettings(head="everything", device="cpu", matmul_precision="bf16")
    (result,) = predict_many([salt], model_folder, settings)
    salt.calc = make_calc(kernel="cpu", matmul_precision="bf16")
    assert result.energy == pytest.approx(salt.get_potential_energy(), abs=1e-6)


def test_a_shared_model_is_rounded_for_none_but_who_asks(model_folder: Path, salt: Atoms) -> None:
    loaded = load_model(model_folder)
    arguments = {"head": "everything", "device": "cpu"}
    before = FoundationCalc(loaded, **arguments).get_forces(salt)
    rounded = FoundationCalc(loaded, matmul_precision="bf16", **arguments)
    again = FoundationCalc(rounded._evaluator.loaded, **arguments)
    assert np.abs(rounded.get_forces(salt) - before).max() > 1e-6
    np.testing.assert_array_equal(FoundationCalc(loaded, **arguments).get_forces(salt), before)
    np.testing.assert_allclose(again.get_forces(salt), before, atol=1e-6)


def test_a_calculator_says_how_it_multiplies(make_calc: Make, salt: Atoms) -> None:
    calc = make_calc(matmul_precision="bf16")
    assert calc.fingerprint()["matmul_precision"] == "bf16"
    assert calc._evaluator.precision == "float32 (bf16 products)"
    twin = FoundationCalc.fromdict(calc.todict())
    np.testing.assert_array_equal(twin.get_forces(salt), calc.get_forces(salt))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"matmul_precision": "tf32"}, "'tf32' is a format of CUDA devices, not of 'cpu'"),
        ({"matmul_precision": "fast"}, "no matmul_precision 'fast'"),
        ({"matmul_precision": "bf16", "default_dtype": "float64"}, "products of float32 numbers"),
    ],
)
def test_a_precision_that_cannot_be_is_refused(
    make_calc: Make, arguments: dict[str, str], text: str
) -> None:
    with pytest.raises((SetupError, UnknownNameError), match=text):
        make_calc(**arguments)


@pytest.mark.parametrize("before", ["none", "ieee", "tf32"])
@pytest.mark.parametrize("tf32", [False, True])
def test_the_switch_of_the_process_is_put_back(before: str, tf32: bool) -> None:
    kept = SWITCH.fp32_precision
    SWITCH.fp32_precision = before
    with contextlib.suppress(MemoryError), matrix_products(CUDA, tf32=tf32):
        assert SWITCH.fp32_precision == ("tf32" if tf32 else "ieee")
        raise MemoryError
    assert SWITCH.fp32_precision == before
    SWITCH.fp32_precision = kept


def test_an_evaluation_on_a_gpu_is_exact_unless_tf32_is_asked_for(
    make_calc: Make, salt: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    calc, seen = make_calc(), []
    features = calc._evaluator.model.features

    def watch(graph: AtomicGraph) -> object:
        seen.append(SWITCH.fp32_precision)
        return features(graph)

    monkeypatch.setattr(calc._evaluator.model, "features", watch)
    monkeypatch.setattr(calc._evaluator, "device", CUDA)
    monkeypatch.setattr(AtomicGraph, "to", lambda graph, *_: graph)
    before = torch.get_float32_matmul_precision(), SWITCH.fp32_precision
    calc.get_forces(salt)
    settings = CalculatorSettings(head="everything", matmul_precision="tf32")
    monkeypatch.setattr(calc._evaluator, "settings", settings)
    calc.calculate(salt, ["forces"])
    assert seen == ["ieee", "tf32"]
    assert (torch.get_float32_matmul_precision(), SWITCH.fp32_precision) == before


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_tf32_forces_are_near_those_of_float32(model_folder: Path, salt: Atoms) -> None:
    arguments = {"head": "everything", "device": "cuda"}
    exact = FoundationCalc(model_folder, **arguments).get_forces(salt)
    rounded = FoundationCalc(model_folder, matmul_precision="tf32", **arguments).get_forces(salt)
    assert np.abs(rounded - exact).max() < 0.005 * np.abs(exact).max()  # 2⁻¹¹, as above
