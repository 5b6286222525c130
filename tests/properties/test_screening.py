"""What goes into a screening comes out as a row or, with a reason, in quarantine; nothing stops."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st

from atomfm_calc.calculators.budget import BatchBudget
from atomfm_calc.calculators.evaluator import Evaluator
from atomfm_calc.calculators.setup import CalculatorSettings, prepare_model
from atomfm_calc.screening.campaign import Stage
from atomfm_calc.screening.evaluation import StageEvaluator
from atomfm_calc.screening.graphs import list_block
from atomfm_calc.screening.readers.files import FileSource
from atomfm_calc.screening.structures import REASONS, block_from_atoms
from tests.made.models import make_uncertain_folder
from tests.properties.strategies import any_structures, sound_structures

SHORTEST = st.sampled_from([0.0, 0.3, 1.0])
MANY = st.lists(any_structures(st.integers(1, 40)), min_size=0, max_size=6)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> StageEvaluator:
    settings = CalculatorSettings(head="everything", device="cpu")
    model = make_uncertain_folder(tmp_path_factory.mktemp("screened") / "tiny")
    evaluator = Evaluator(prepare_model(model, settings), settings)
    heads = Stage(heads=("everything", "ions"), forces=True, stress=True)
    return StageEvaluator(evaluator, heads, BatchBudget(max_atoms=60, max_edges=3000))


@given(structures=MANY, shortest=SHORTEST)
def test_every_structure_is_a_row_or_has_a_reason(
    stage: StageEvaluator, structures: list[Atoms], shortest: float
) -> None:
    named = [(index, f"#{index}", atoms) for index, atoms in enumerate(structures)]
    block, columns = stage.evaluate(list_block(block_from_atoms(named), stage.cutoff, shortest))
    lost = [rejection.index for rejection in block.rejected]
    assert sorted([*block.index.tolist(), *lost]) == list(range(len(structures)))
    assert {rejection.reason for rejection in block.rejected} <= set(REASONS)
    assert all(rejection.detail for rejection in block.rejected)
    everywhere = np.isfinite(columns["energy"]) | np.isfinite(columns["energy_ions"])
    assert everywhere.all()


@st.composite
def damaged_texts(draw: st.DrawFn) -> str:
    """Frames of extended XYZ, some lines or characters of which are lost, doubled or exchanged."""
    text = io.StringIO()
    sizes = st.integers(1, 5)
    ase.io.write(text, draw(st.lists(sound_structures(sizes), min_size=1, max_size=4)), "extxyz")
    lines = text.getvalue().splitlines(keepends=True)
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(lines) - 1))
        change = draw(st.sampled_from(["drop", "double", "cut", "exchange", "character"]))
        line = lines[place]
        if change == "drop" and len(lines) > 1:
            del lines[place]
        elif change == "double":
            lines.insert(place, line)
        elif change == "cut":
            lines[place] = line[: draw(st.integers(0, len(line)))]
        elif change == "exchange":
            other = draw(st.integers(0, len(lines) - 1))
            lines[place], lines[other] = lines[other], line
        else:
            at = draw(st.integers(0, len(line)))
            lines[place] = line[:at] + draw(st.text(max_size=3)) + line[at + 1 :]
    return "".join(lines)


@given(text=damaged_texts())
def test_every_record_of_a_damaged_file_is_a_structure_or_has_a_reason(
    stage: StageEvaluator, text: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "damaged.extxyz"
        path.write_text(text, encoding="utf-8", errors="replace")
        source = FileSource([str(path)])
        block = source.read(0, source.n_candidates)
    lost = [rejection.index for rejection in block.rejected]
    assert sorted([*block.index.tolist(), *lost]) == list(range(source.n_candidates))
    assert {rejection.reason for rejection in block.rejected} <= set(REASONS)
    found, _ = stage.evaluate(list_block(block, stage.cutoff, 0.3))
    assert len(found) + len(found.rejected) == source.n_candidates
