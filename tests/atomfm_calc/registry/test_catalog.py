"""Cards and the catalog: names to folders, cards and weights held against each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from atomfm_calc.errors import ConfigError, NoModelError, UnknownNameError, WeightsError
from atomfm_calc.models.gate import GATE_FILE, save_gate
from atomfm_calc.registry import catalog
from atomfm_calc.registry.card import CARD_FILE, load_card, save_card
from atomfm_calc.registry.catalog import (
    add_gate,
    add_parity,
    find_model,
    list_models,
    load_model,
    parity_of,
    verify_model,
)
from atomfm_calc.registry.parity import PARITY_FILE, HeadParity, Parity
from tests.made.models import HEADS, make_model_folder, small_gate


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_model_folder(tmp_path / "tiny")


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalog that ships two models, one of them in three versions."""
    for name in ("tiny-0.9.0", "tiny-0.10.0", "tiny-0.2.0", "other-lead-1.0.0"):
        make_model_folder(tmp_path / name, name=name.rpartition("-")[0])
    monkeypatch.setattr(catalog, "SHIPPED", tmp_path)
    return tmp_path


def _edit_card(folder: Path, before: str, after: str) -> None:
    path = folder / CARD_FILE
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")


def test_a_card_is_read_as_it_was_written(folder: Path) -> None:
    card = load_card(folder)
    save_card(card, folder)
    assert load_card(folder) == card
    assert list(card.heads) == list(HEADS)
    assert card.label == "tiny 0.0.1"


def test_a_loaded_model_agrees_with_its_card(folder: Path) -> None:
    loaded = load_model(folder)
    assert loaded.model.head_names == tuple(loaded.card.heads)
    assert loaded.folder == folder


def test_a_name_without_version_is_the_newest(shipped: Path) -> None:
    assert find_model("tiny") == shipped / "tiny-0.10.0"  # 10 is more than 9, though "1" < "9"
    assert find_model("tiny-0.9.0") == shipped / "tiny-0.9.0"
    assert find_model("other-lead") == shipped / "other-lead-1.0.0"


def test_models_are_listed_oldest_version_first(shipped: Path) -> None:
    assert list(list_models()) == ["other-lead-1.0.0", "tiny-0.2.0", "tiny-0.9.0", "tiny-0.10.0"]


def test_a_name_that_is_not_shipped_is_refused_with_those_that_are(shipped: Path) -> None:
    with pytest.raises(UnknownNameError, match="no model 'tinny'.*other-lead.*mean 'tiny'"):
        find_model("tinny")
    with pytest.raises(UnknownNameError, match="tiny-0.9.0"):
        find_model("tiny-0.9.1")


def test_a_path_that_is_no_model_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoModelError, match="is no model folder: it has no card.yaml"):
        find_model(tmp_path)
    with pytest.raises(NoModelError, match="is no model folder"):
        find_model("runs/absent/model")


def test_weights_that_were_changed_are_found_out(folder: Path) -> None:
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    with pytest.raises(WeightsError, match="the file was changed or damaged"):
        load_model(folder)


def test_a_folder_without_weights_is_named(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="there is no model file .*model.safetensors"):
        verify_model(folder)


def test_a_card_with_other_heads_than_the_weights_is_refused(folder: Path) -> None:
    _edit_card(folder, "  everything:", "  anything:")
    with pytest.raises(WeightsError, match=r"describes the heads .*anything.*hold .*everything"):
        load_model(folder)


@pytest.mark.parametrize(
    ("before", "after", "error", "message"),
    [
        ("default_head: crystals", "default_head: crystal", ConfigError, "mean 'crystals'"),
        ("card_format: 1", "card_format: 2", ConfigError, "card format 2; this atomfm reads 1"),
        ("title: random weights for", "titel: random weights for", ConfigError, "mean 'title'"),
    ],
)
def test_a_wrong_card_is_refused(
    folder: Path, before: str, after: str, error: type[Exception], message: str
) -> None:
    _edit_card(folder, before, after)
    with pytest.raises(error, match=message):
        load_card(folder)


@pytest.mark.parametrize("name", list_models(), ids=str)
def test_a_shipped_model_is_whole_and_small_enough(name: str) -> None:
    folder = find_model(name)
    card = load_model(name).card
    assert folder.name == f"{card.name}-{card.version}"
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 12 * 2**20


def test_a_gate_belongs_to_its_card(folder: Path) -> None:
    card = add_gate(folder, small_gate(), {"mixture": "random"})
    assert load_model(folder).gate is not None
    assert (load_card(folder), card.measured) == (card, {"mixture": "random"})
    (folder / GATE_FILE).write_bytes((folder / GATE_FILE).read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match=r"gate.safetensors has SHA-256 .*changed or damaged"):
        load_model(folder)
    (folder / GATE_FILE).unlink()
    with pytest.raises(WeightsError, match=r"there is no model file .*gate.safetensors"):
        load_model(folder)


def test_a_gate_that_the_card_does_not_name_is_refused(folder: Path) -> None:
    save_gate(small_gate(), folder / GATE_FILE)
    with pytest.raises(WeightsError, match="does not name gate.safetensors"):
        load_model(folder)


def test_a_gate_of_other_heads_is_refused(folder: Path) -> None:
    with pytest.raises(WeightsError, match="the gate weighs one, two, the model has crystals"):
        add_gate(folder, small_gate(("one", "two")), {})


def test_labels_and_predictions_belong_to_their_card(folder: Path) -> None:
    assert parity_of(folder, load_card(folder)) is None
    pairs = HeadParity(n_structures=1, energies=((0.5, 0.4),), forces=())
    card = add_parity(folder, Parity(split="test", heads={"ions": pairs}))
    assert load_model(folder).card == card
    assert parity_of(folder, card) == Parity(split="test", heads={"ions": pairs})
    (folder / PARITY_FILE).write_text("{}", encoding="utf-8")
    with pytest.raises(WeightsError, match=r"parity.json has SHA-256 .*changed or damaged"):
        load_model(folder)
