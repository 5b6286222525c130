"""Every structure once, after stops, damage, on several ranks; the numbers of a calculator."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path

import pytest
from numpy.testing import assert_allclose

from atomfm_calc.calculators.batch import predict_many
from atomfm_calc.calculators.setup import CalculatorSettings
from atomfm_calc.errors import ConfigError
from atomfm_calc.screening.drive import open_evaluator, run_campaign, stage_work
from atomfm_calc.screening.manifest import Journals, StageFolder
from atomfm_calc.screening.runner import StageWork, run_stage
from atomfm_calc.screening.sources import open_source
from atomfm_calc.screening.team import Team
from tests.atomfm_calc.screening.conftest import table

Screen = Callable[..., Path]


def test_rows_are_what_predict_many_gives(screen: Screen, campaign, model: Path) -> None:
    folder = screen(stages=[{"heads": ["everything"], "forces": True}], dtype="float64")
    rows = table(folder / "evaluate")
    block = open_source(campaign().candidates).read(0, 60)
    settings = CalculatorSettings(
        head="everything", device="cpu", default_dtype="float64", allow_unseen_elements=True
    )
    structures = [block.atoms(row) for row in range(60)]
    # the calculator refuses overlapping atoms, which this campaign does not
    chosen = [row for row in range(60) if min(_distances(structures[row])) > 0.3]
    results = predict_many([structures[row] for row in chosen], model, settings)
    energies = rows["energy"].to_numpy()[chosen]
    assert_allclose(energies, [result.energy for result in results], rtol=1e-10)
    largest = [float((result.forces**2).sum(axis=1).max() ** 0.5) for result in results]
    assert_allclose(rows["max_force"].to_numpy()[chosen], largest, rtol=1e-8)


def _distances(atoms) -> list[float]:
    return [atoms.get_distance(i, j) for i in range(len(atoms)) for j in range(i)]


def test_a_second_start_computes_nothing(screen: Screen) -> None:
    folder = screen()
    before = {
        path: path.stat().st_mtime_ns for path in (folder / "evaluate/rows").rglob("*.parquet")
    }
    screen()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(before) == 9  # 60 candidates in blocks of 7


@pytest.mark.parametrize("damage", ["lost", "cut", "not recorded"])
def test_a_damaged_block_is_computed_again(screen: Screen, damage: str) -> None:
    folder = screen()
    whole = table(folder / "evaluate")
    place = StageFolder(folder / "evaluate", ".parquet")
    if damage == "lost":
        place.rows(3).unlink()
    elif damage == "cut":
        place.rows(3).write_bytes(place.rows(3).read_bytes()[:-50])
    else:  # as if killed between the rename and the journal, in the middle of a line
        (journal,) = place.journal.glob("*.jsonl")
        journal.write_text(journal.read_text()[:-30])
    screen()
    assert table(folder / "evaluate").equals(whole)


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_that_stop_are_helped_out_by_the_last(screen, campaign, tmp_path, ranks) -> None:
    whole = table(screen("alone") / "evaluate")
    folder = tmp_path / "ranks"
    for rank in range(1, ranks):
        with pytest.raises(KeyboardInterrupt):
            run_stage(_work(campaign, folder), Team(rank=rank, ranks=ranks), _stop)
    assert 0 < len(table(folder / "evaluate")) < 60
    run_campaign(campaign(), folder, Team(rank=0, ranks=ranks))
    assert table(folder / "evaluate").equals(whole)


def _stop(journals: Journals) -> None:
    """As if the rank were killed behind its first block."""
    raise KeyboardInterrupt


def _work(campaign, folder: Path) -> StageWork:
    settings = campaign()
    source = open_source(settings.candidates)
    evaluator = open_evaluator(settings)
    return stage_work(settings, settings.stages[0], evaluator, source, folder / "evaluate")


def test_a_folder_of_another_campaign_is_refused(screen: Screen) -> None:
    screen()
    with pytest.raises(ConfigError, match="dtype 'float32', now it is 'float64'"):
        screen(dtype="float64")


def test_a_claim_of_a_dead_process_is_taken_over(screen: Screen, campaign, tmp_path: Path) -> None:
    folder = StageFolder(tmp_path / "results" / "evaluate", ".parquet")
    folder.prepare()
    dead = f'{{"host": "{platform.node()}", "process": 999999999, "rank": 1}}'
    (folder.claims / "block-0000002").write_text(dead)
    screen()
    assert len(table(tmp_path / "results" / "evaluate")) == 60


def test_what_killed_processes_left_is_cleaned_up(screen: Screen) -> None:
    place = StageFolder(screen() / "evaluate", ".parquet")
    dead = f'{{"host": "{platform.node()}", "process": 999999999, "rank": 1}}'
    (place.claims / "block-0000002").write_text(dead)
    (place.rows(2).parent / ".block-0000002.parquet.999999999.partial").write_bytes(b"PAR1")
    screen()
    assert not list(place.path.rglob(".*.partial"))
    assert not list(place.claims.iterdir())


def test_the_other_sink_holds_the_same_rows(screen: Screen) -> None:
    stages = [{"heads": ["everything"], "top": {"by": "energy", "count": 60}}]
    plain = table(screen("plain", stages=stages), "evaluate/selected.parquet")
    adios = table(screen("adios", stages=stages, sink="adios2"), "evaluate/selected.parquet")
    assert plain.equals(adios)
