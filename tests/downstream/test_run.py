"""A whole run in seconds: results, models that load, and nothing computed twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atomfm_calc import FoundationCalc
from atomfm_calc.calculators.batch import predict_many
from atomfm_calc.convert import atoms_from_sample
from atomfm_calc.errors import ConfigError, SetupError
from downstream import fit
from downstream.report import write_report
from downstream.run import RunSettings, RunSummary, quick, run
from tests.made.fine_tuning import dimer, found, recipe

CLASSES = {
    "is_long": {"unit": "1", "classes": ["short", "long"], "loss": "cross_entropy"},
    "distance": {"level": "atom", "unit": "angstrom"},
}
POTENTIAL = {"head": "dimers", "labels": ["energy", "forces"]}
CARBON_MONOXIDE = atoms_from_sample(dimer(5))


def _run(pretrained: Path, output: Path, *modes: str, **sections: Any) -> RunSummary:
    settings = RunSettings(output=output, modes=modes, forgetting=False)
    return run(found(recipe(pretrained, **sections)), settings)


@pytest.fixture(scope="module")
def finished(pretrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two modes, two seeds."""
    output = tmp_path_factory.mktemp("runs") / "made"
    assert _run(pretrained, output, "frozen", "lora", seeds=2).finished
    return output


def test_a_stand_in_is_named_in_every_report(finished: Path) -> None:
    write_report(finished)
    for name in ("report.md", "report.html"):
        assert "dimers (stand-in)" in (finished / name).read_text(encoding="utf-8")


def test_the_page_needs_nothing_else(finished: Path) -> None:
    write_report(finished)
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2  # learning curve and parity
    assert "<script" not in page
    assert "src=" not in page


def test_the_summary_has_means_and_deviations_over_seeds(finished: Path) -> None:
    rows = write_report(finished)["table"]
    assert [(row["mode"], row["n"]) for row in rows] == [("frozen", 2), ("lora", 2)]
    values = [
        json.loads(path.read_text())["metrics"]["bond MAE, angstrom"]
        for path in finished.glob("cells/random/lora/8/*/result.json")
    ]
    found_row = rows[1]["metrics"]["bond MAE, angstrom"]
    assert found_row["mean"] == pytest.approx(np.mean(values))
    assert found_row["deviation"] == pytest.approx(np.std(values, ddof=1))


def test_a_finished_cell_is_not_computed_again(
    pretrained: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("downstream.run.fit_cell", None)  # to call it would be an error
    assert len(_run(pretrained, finished, "frozen", "lora", seeds=2).cells) == 4


def test_cells_of_other_settings_are_refused(pretrained: Path, finished: Path) -> None:
    with pytest.raises(ConfigError, match="holds results with other settings; choose another"):
        _run(pretrained, finished, "frozen", seeds=2, split={"by": "k-fold"})


def test_the_model_predicts_what_was_tested(pretrained: Path, tmp_path: Path) -> None:
    (cell,) = _run(pretrained, tmp_path, "full").cells
    samples = [dimer(number, partner=(7, 8)[number % 2]) for number in range(16)]
    results = predict_many(
        [atoms_from_sample(sample) for sample in samples],
        tmp_path / "seed-0" / "model",
        properties="bond",
    )
    predicted = [float(result.values["bond"]) for result in results]
    panel = cell["parity"]["bond"]
    for label, tested in zip(panel["label"], panel["predicted"], strict=True):
        number = round((label - 1.0) / 0.03)  # as `dimer` makes them
        assert predicted[number] == pytest.approx(tested, abs=1e-4)


def test_a_model_of_properties_has_no_energy(pretrained: Path, tmp_path: Path) -> None:
    _run(pretrained, tmp_path, "full")
    with pytest.raises(SetupError, match=r"predicts bond: use predict_many\(.*properties="):
        FoundationCalc(tmp_path / "seed-0" / "model")


def test_classes_come_with_probabilities_and_atoms_with_a_value_each(
    pretrained: Path, tmp_path: Path
) -> None:
    (cell,) = _run(pretrained, tmp_path, "full", targets=CLASSES).cells
    assert cell["lower_is_better"] is False
    assert sum(number for *_, number in cell["calibration"]["bins"]) == 3  # a fifth of 16
    model = tmp_path / "seed-0" / "model"
    (result,) = predict_many([CARBON_MONOXIDE], model, properties="all")
    assert sum(result.probabilities["is_long"].values()) == pytest.approx(1.0)
    assert result.values["is_long"] in ("short", "long")
    assert result.values["distance"].shape == (2,)


@pytest.mark.parametrize("mode", ["scratch", "full", "frozen"])
def test_a_potential_is_a_calculator(pretrained: Path, tmp_path: Path, mode: str) -> None:
    (cell,) = _run(pretrained, tmp_path, mode, potential=POTENTIAL).cells
    calc = FoundationCalc(tmp_path / "seed-0" / "model")
    assert calc.head == "dimers"
    atoms = CARBON_MONOXIDE.copy()
    atoms.calc = calc
    # the fit of references alone puts the energy where the labels are: -100 - 8 eV and a bond
    assert atoms.get_potential_energy() == pytest.approx(-108.0, abs=3.0)
    assert ("everything" in calc.heads) == (mode == "frozen")
    assert cell["metrics"]["forces MAE, meV/Å"] > 0.0


def test_a_training_that_was_cut_off_goes_on_from_its_checkpoint(
    pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    whole = fit.Trainer.fit

    def cut_off(trainer: fit.Trainer) -> Any:
        result = whole(trainer, stop_after_steps=4 if not steps else None)
        steps.append((trainer.progress.step, result.finished))
        return result

    monkeypatch.setattr(fit.Trainer, "fit", cut_off)
    assert not _run(pretrained, tmp_path, "full").finished
    assert _run(pretrained, tmp_path, "full").finished
    assert steps == [(4, False), (6, True)]


def test_a_run_that_was_killed_comes_to_the_same_result(
    pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (expected,) = _run(pretrained, tmp_path / "whole", "full").cells
    step, killed = fit.Trainer.step, []

    def die_once(trainer: fit.Trainer, *args: Any, **options: Any) -> bool:
        if trainer.progress.step == 5 and not killed:  # the checkpoint is that of step 3
            killed.append(True)
            raise MemoryError  # nothing is saved on the way out, as after kill -9
        return step(trainer, *args, **options)

    monkeypatch.setattr(fit.Trainer, "step", die_once)
    with pytest.raises(MemoryError):
        _run(pretrained, tmp_path / "killed", "full")
    (cell,) = _run(pretrained, tmp_path / "killed", "full").cells
    assert cell["metrics"] == pytest.approx(expected["metrics"], rel=1e-6)


def test_what_is_asked_for_counts_in_a_quick_run(pretrained: Path) -> None:
    made = recipe(pretrained, sizes=[8, 12], seeds=2)
    assert (quick(made).sizes, quick(made).seeds) == ((30,), 1)
    kept = quick(made, {"sizes", "seeds"})
    assert (kept.sizes, kept.seeds) == ((8, 12), 2)


def test_tables_show_how_many_structures_there_were(pretrained: Path, tmp_path: Path) -> None:
    _run(pretrained, tmp_path, "frozen", sizes=[1_000_000])
    (row,) = write_report(tmp_path)["table"]
    assert row["structures"] == 13  # four fifths of 16
    assert "1000000" not in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "13 structures" in (tmp_path / "seed-0" / "model" / "card.yaml").read_text()
