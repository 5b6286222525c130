"""Reading measured steps and writing the report; no training here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from atomfm_calc.errors import ConfigError, TrainingError
from training.scaling import study as study_module
from training.scaling.machine import load_machine
from training.scaling.measure import PARTS, WARMUP_STEPS, last_words, measure, read_steps
from training.scaling.model import Assumptions
from training.scaling.report import report_text
from training.scaling.study import (
    ScalingStudy,
    StudyRequest,
    curves_of,
    run_study,
    workload_of,
    write_study,
)


def write_metrics(path: Path, ranks: int = 1, steps: int = 12, without: str = "") -> Path:
    """Steps of 0.1 s + 1 ms per atom: 40 % forward, 50 % backward, 10 % optimizer."""
    lines = [json.dumps({"kind": "validation", "step": 0})]
    for step in range(WARMUP_STEPS + steps):
        atoms = 100 + 10 * (step % 5)
        compute = 99.0 if step < WARMUP_STEPS else 0.1 + 1e-3 * atoms
        shares = dict(zip(PARTS, (0.02, 0.4, 0.5, 0.05, 0.1), strict=True))
        values = {f"seconds_{part}": share * compute for part, share in shares.items()}
        sizes = {"structures": 10 * ranks, "atoms": atoms * ranks, "edges": 30 * atoms * ranks}
        line = {"kind": "step", "step": step, **values, **sizes}
        line.pop(without, None)
        lines.append(json.dumps(line))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def study(tmp_path: Path) -> ScalingStudy:
    runs = [read_steps(write_metrics(tmp_path / f"{n}.jsonl", n), n, n) for n in (1, 2)]
    workload = workload_of(runs[0], {"backbone": 10**6, "heads": 10**5}, 10, "fp32")
    machines = [load_machine("frontier"), load_machine("aurora")]
    assumed = Assumptions()
    return ScalingStudy(
        config="tiny.yaml",
        device="cpu",
        copy_GB_per_s=10.0,
        weak=runs,
        strong=runs,
        workload=workload,
        assumed=assumed,
        machines=machines,
        curves=[c for m in machines for c in curves_of(workload, m, 9.0, assumed, ["ddp"])],
        factor_is_given=False,
    )


def test_the_workload_is_that_of_the_measured_steps(study: ScalingStudy) -> None:
    load = study.workload
    assert load.fixed_seconds == pytest.approx(0.1)
    assert load.seconds_per_atom == pytest.approx(1e-3)
    assert load.backward_fraction == pytest.approx(0.5)
    assert (load.structures_per_rank, load.edges_per_atom) == (10, 30)
    assert (load.backbone_bytes, load.head_bytes) == (4e6, 4e4)


def test_first_steps_are_left_out(study: ScalingStudy) -> None:
    assert max(study.weak[0].compute) < 1.0
    assert len(study.weak[0].compute) == 12
    assert study.weak[0].step_seconds == pytest.approx(1.07 * 0.215)  # 115 atoms, all parts


@pytest.mark.parametrize("without", ["seconds_communication", "atoms"])
def test_metrics_without_timings_are_refused(tmp_path: Path, without: str) -> None:
    path = write_metrics(tmp_path / "metrics.jsonl", without=without)
    with pytest.raises(TrainingError, match=f"steps without {without}"):
        read_steps(path, 1, 1)


def test_missing_short_and_earlier_measurements_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="has left no readable"):
        read_steps(tmp_path / "none.jsonl", 1, 1)
    with pytest.raises(TrainingError, match="has 1 steps after the first 5; measure more"):
        read_steps(write_metrics(tmp_path / "metrics.jsonl", steps=1), 1, 1)
    with pytest.raises(TrainingError, match="holds an earlier measurement; choose another --out"):
        measure(Path("tiny.yaml"), 1, 1, 5, tmp_path)


def test_a_run_that_fails_ends_with_its_own_last_words() -> None:
    words = [*(f"line {i}" for i in range(30)), "ConfigError: cannot read absent.yaml"]
    report = ["E1 torch/distributed/elastic/multiprocessing/api.py:9] failed", "Traceback"]
    shown = last_words("\n".join([*words, *report])).splitlines()
    assert (len(shown), shown[-1]) == (20, words[-1])
    assert last_words("one line") == "one line"
    assert last_words(report[0]) == report[0]


def test_every_table_says_whether_it_is_measured_or_modelled(
    study: ScalingStudy, tmp_path: Path
) -> None:
    write_study(study, tmp_path)
    text = (tmp_path / "scaling.md").read_text(encoding="utf-8")
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings[-1] == "## Assumptions of the model"
    assert all(heading.startswith(("## MEASURED", "## MODELLED")) for heading in headings[:-1])
    assert sum("MODELLED, frontier" in heading for heading in headings) == 2
    assert text.count("\n| ---: |") == len(headings) - 1
    assert "ratio of memory bandwidths" in text
    assert "latencies 10 µs in a node" in text


def test_a_report_says_when_fixed_time_hides_how_a_run_scales(study: ScalingStudy) -> None:
    # 117.5 atoms in the mean: (0.1 + 0.1175 / 9) s against (0.1 + 0.1175) / 9 s
    assert "differ by a factor of 4.68 in compute, which is too much to say" in report_text(study)
    load = replace(study.workload, fixed_seconds=0.02)
    assumed, machine = study.assumed, study.machines[0]
    curves = curves_of(load, machine, 9.0, assumed, ["ddp"])
    assert "too much" not in report_text(replace(study, curves=curves))
    assert curves[0].weak_fast[0].compute < curves[0].weak[0].compute
    unknown = replace(study, workload=replace(load, fixed_seconds=0.0))
    assert "could not be told from noise" in report_text(unknown)


def test_the_data_of_the_report_is_kept_as_numbers(study: ScalingStudy, tmp_path: Path) -> None:
    written = write_study(study, tmp_path)
    data = json.loads((tmp_path / "scaling.json").read_text())
    assert data["workload"]["n_heads"] == 10
    assert data["curves"][0]["weak"][0]["ranks"] == 1
    assert all(path.stat().st_size > 100 for path in written)


def test_without_matplotlib_the_report_has_no_picture(
    study: ScalingStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_module, "find_spec", lambda name: None)
    names = [path.name for path in write_study(study, tmp_path)]
    assert names == ["scaling.json", "scaling.md"]


def test_one_batch_per_rank_and_a_fixed_number_of_batches_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "run.yaml"
    config.write_text("output: run\nheads: [a, b]\nfit: {duration: {max_steps: 1}}\n")

    def measured(path: Path, n: int, batches: int, *rest: object) -> object:
        return read_steps(write_metrics(tmp_path / f"{n}-{batches}.jsonl", batches), n, batches)

    monkeypatch.setattr(study_module, "measure", measured)
    machines = (load_machine("perlmutter"),)
    request = StudyRequest(
        config=config, ranks=(2, 4), machines=machines, out=tmp_path, structures_per_rank=40.0
    )
    study = run_study(request)
    assert [(run.ranks, run.batches) for run in study.weak] == [(1, 1), (2, 2), (4, 4)]
    assert [(run.ranks, run.batches) for run in study.strong] == [(1, 4), (2, 4), (4, 4)]
    assert [curve.strategy for curve in study.curves] == ["ddp", "multitask"]
    assert study.curves[0].weak[0].structures == 40.0


def test_ranks_are_numbers_of_processes() -> None:
    with pytest.raises(ConfigError, match=r"ranks are \[0\]"):
        StudyRequest(config=Path("a"), ranks=(0,), machines=(), out=Path("b"))
