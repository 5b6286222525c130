"""Batches of torch-sim relax and are heated with every head, the mixture included."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
import torch

from atomfm_calc.calculators.calculator import FoundationCalc
from atomfm_calc.calculators.setup import CalculatorSettings
from tests.made.models import make_mixture_folder

ts = pytest.importorskip("torch_sim", reason="the extra torchsim is not installed")
tutorial = import_module("tutorials.batched_dynamics")


def test_the_tutorial_tells_of_every_system_and_head(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_mixture_folder(tmp_path / "model")
    heads = ["crystals", "everything", "mixture"]
    options = ["--model", str(folder), "--steps", "5", "--device", "cpu", "--heads", *heads]
    tutorial.main(options)
    lines = capsys.readouterr().out.splitlines()
    lines = [line for line in lines if "relaxed by" in line]
    assert [line.split()[0] for line in lines] == [head for head in heads for _ in range(3)]
    assert all(" relaxed by -" in line for line in lines)


def test_the_mixture_in_a_batch_is_that_of_the_calculator(tmp_path: Path) -> None:
    folder = make_mixture_folder(tmp_path / "model")
    settings = CalculatorSettings(head="mixture", device="cpu", default_dtype="float64")
    model = tutorial.TorchSimModel(folder, settings)
    batch = tutorial.crystals()
    output = model(ts.io.atoms_to_state(batch, torch.device("cpu"), torch.float64))
    calc = FoundationCalc(folder, head="mixture", device="cpu", default_dtype="float64")
    for index, atoms in enumerate(batch):
        atoms.calc = calc
        expected = pytest.approx(atoms.get_potential_energy(), abs=1e-8)
        assert output["energy"][index].item() == expected
