"""Model folders made to do harm: nothing in them runs, grows or reaches outside."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from pathlib import Path

import pytest
import torch

from atomfm_calc.errors import ConfigError, WeightsError
from atomfm_calc.models.gate import read_torch_file
from atomfm_calc.models.weights import WEIGHTS_FILE, sha256_of
from atomfm_calc.registry.card import CARD_FILE, load_card
from atomfm_calc.registry.catalog import copy_model, load_model
from tests.made.models import make_model_folder


class Harm:
    """Unpickled, it leaves a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.mark,)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_model_folder(tmp_path / "tiny")


def add_to_card(folder: Path, text: str) -> None:
    path = folder / CARD_FILE
    path.write_text(f"{path.read_text(encoding='utf-8')}{text}\n", encoding="utf-8")


def name_on_card(folder: Path) -> None:
    """Let the card name the checksum of the weights as they are now."""
    card = load_card(folder)
    path = folder / CARD_FILE
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(card.weights_sha256, sha256_of(folder / WEIGHTS_FILE)), "utf-8")


def test_a_pickle_in_place_of_the_weights_is_not_opened(folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    (folder / WEIGHTS_FILE).write_bytes(pickle.dumps(Harm(mark)))
    name_on_card(folder)
    with pytest.raises(WeightsError, match="is not a readable safetensors file"):
        load_model(folder)
    assert not mark.exists()


def test_a_checkpoint_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    torch.save({"model_state_dict": Harm(mark)}, tmp_path / "run.pk")
    with pytest.raises(WeightsError, match="refused because it could run code"):
        read_torch_file(tmp_path / "run.pk")
    assert not mark.exists()


def test_a_tag_on_a_card_makes_no_object(folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    add_to_card(folder, f"measured: !!python/object/apply:os.mkdir ['{mark}']")
    with pytest.raises(ConfigError, match="could not determine a constructor for the tag"):
        load_model(folder)
    assert not mark.exists()


def test_a_card_that_multiplies_itself_is_refused_at_once(folder: Path) -> None:
    lines = ["laughs:", "  a0: &a0 [ha, ha, ha]"]
    lines += [f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]  # 9^19
    add_to_card(folder, "\n".join(lines))
    with pytest.raises(ConfigError, match="an alias .*write its content out"):
        load_model(folder)


def test_a_card_nested_without_end_is_refused(folder: Path) -> None:
    add_to_card(folder, "measured: " + 2_000 * "[")
    with pytest.raises(ConfigError, match=r"card\.yaml is not YAML that is read here"):
        load_model(folder)


def test_a_card_of_bytes_is_refused(folder: Path) -> None:
    (folder / CARD_FILE).write_bytes(b"\xff\xfe\x00card")
    with pytest.raises(ConfigError, match=r"card\.yaml is not text"):
        load_model(folder)


@pytest.mark.parametrize("length", [2**62, 2**30])
def test_a_header_that_claims_to_be_huge_is_refused(folder: Path, length: int) -> None:
    (folder / WEIGHTS_FILE).write_bytes(struct.pack("<Q", length) + b"{}")
    name_on_card(folder)
    with pytest.raises(WeightsError, match="is not a readable safetensors file"):
        load_model(folder)


def test_a_tensor_that_claims_to_be_huge_is_refused(folder: Path) -> None:
    entry = {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}
    header = json.dumps({"a": entry}).encode()
    (folder / WEIGHTS_FILE).write_bytes(struct.pack("<Q", len(header)) + header)
    name_on_card(folder)
    with pytest.raises(WeightsError, match="is not a readable safetensors file"):
        load_model(folder)


def test_an_archive_that_grows_when_it_is_read_is_refused(tmp_path: Path) -> None:
    torch.save({"mlp_state_dict": {"a": torch.zeros(1 << 20)}}, tmp_path / "plain.pt")
    small = tmp_path / "bomb.pt"
    with (
        zipfile.ZipFile(tmp_path / "plain.pt") as plain,
        zipfile.ZipFile(small, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in plain.infolist():
            packed.writestr(entry.filename, plain.read(entry))
    assert read_torch_file(tmp_path / "plain.pt")
    with pytest.raises(WeightsError, match=r"would hold 419\d{4}: torch does not compress"):
        read_torch_file(small)


def test_names_on_a_card_lead_to_no_other_folder(folder: Path, tmp_path: Path) -> None:
    card = folder / CARD_FILE
    text = card.read_text(encoding="utf-8").replace("name: tiny", "name: ../../../escaped")
    card.write_text(text, encoding="utf-8")
    (folder / "extra.py").write_text("raise SystemExit", encoding="utf-8")
    before = set(tmp_path.rglob("*"))
    copy_model(folder, tmp_path / "copy")
    made = {path.relative_to(tmp_path).as_posix() for path in set(tmp_path.rglob("*")) - before}
    assert made == {"copy", f"copy/{CARD_FILE}", f"copy/{WEIGHTS_FILE}"}


def test_weights_of_another_model_are_found_out(folder: Path, tmp_path: Path) -> None:
    other = make_model_folder(tmp_path / "other", seed=1)
    (folder / WEIGHTS_FILE).write_bytes((other / WEIGHTS_FILE).read_bytes())
    with pytest.raises(WeightsError, match="the file was changed or damaged; install or export"):
        load_model(folder)
