"""The model file: strict about what it is, whole, finite, and of a version that is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from atomfm_calc.errors import WeightsError
from atomfm_calc.models import weights
from atomfm_calc.models.weights import load_weights, read_file, save_weights, sha256_of
from tests.made.models import small_model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_weights(small_model(("a", "b")), tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def _rewrite(
    path: Path, *, header: dict[str, object] | None = None, drop: str = "", **tensors
) -> None:
    """Write the file again with other header entries (None: removed) or tensors."""
    state = load_file(path)
    header_now = {"format": "atomfm-model", "format_version": weights.FORMAT_VERSION}
    content = header_now | dict(read_file(path)[0])
    content = {k: v for k, v in (content | (header or {})).items() if v is not None}
    state = {k: v for k, v in (state | tensors).items() if k != drop}
    save_file(state, path, metadata={"atomfm": json.dumps(content)})


def test_a_loaded_model_is_ready_for_use(path: Path) -> None:
    model = load_weights(path)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert model.dtype == torch.float32
    assert model.head_names == ("a", "b")
    assert model.head("a").references.dtype == torch.float64


def test_references_keep_their_last_digit(tmp_path: Path) -> None:
    model = small_model(("a",))
    model.head("a").references[79] = -123456.78901234567
    save_weights(model, tmp_path / "m")
    assert load_weights(tmp_path / "m").head("a").references[79] == -123456.78901234567


def test_saving_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    model = small_model(("a",)).to(torch.float64)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    save_weights(model, tmp_path / "m")
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == before[name].dtype
        assert torch.equal(tensor, before[name])


def test_the_digest_is_that_of_the_file_and_the_kernel_is_chosen_at_loading(path: Path) -> None:
    digest = save_weights(load_weights(path, kernel="cpu"), path)
    assert digest == sha256_of(path)
    assert load_weights(path).kernel == "reference"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"format": "somebody-else"}, "format is 'somebody-else', not 'atomfm-model'"),
        ({"format": None}, "format is None"),
        ({"format_version": 99}, "format version 99; this atomfm reads up to 3. Upgrade"),
        ({"format_version": "one"}, "the header is incomplete"),
        ({"heads": None}, "the header is incomplete"),
        ({"architecture": {"backbone": "painn", "deep": True}}, "unknown key 'deep'"),
        ({"heads": ["a", "c"]}, "missing tensors .*heads.c.*unknown tensors .*heads.b"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(
    path: Path, header: dict[str, object], message: str
) -> None:
    _rewrite(path, header=header)
    with pytest.raises(WeightsError, match=message):
        load_weights(path)


def test_a_header_that_is_not_json_is_refused(path: Path) -> None:
    save_file(load_file(path), path, metadata={"atomfm": "{"})
    with pytest.raises(WeightsError, match="the header is not JSON"):
        load_weights(path)


def test_the_same_weights_make_the_same_file(path: Path) -> None:
    digests = {save_weights(load_weights(path), path) for _ in range(5)}
    assert len(digests) == 1


def test_a_missing_tensor_is_named(path: Path) -> None:
    _rewrite(path, drop="heads.b.scale")
    with pytest.raises(WeightsError, match=r"missing tensors \['heads.b.scale'\]"):
        load_weights(path)


def test_a_tensor_of_another_shape_is_refused(path: Path) -> None:
    _rewrite(path, **{"heads.a.references": torch.zeros(3, dtype=torch.float64)})
    with pytest.raises(WeightsError, match=r"heads.a.references has shape \(3,\).*\(119,\)"):
        load_weights(path)


def test_weights_that_are_not_finite_are_refused(path: Path) -> None:
    _rewrite(path, **{"heads.a.scale": torch.tensor(float("nan"), dtype=torch.float64)})
    with pytest.raises(WeightsError, match="heads.a.scale holds values that are not finite"):
        load_weights(path)


def test_a_damaged_or_missing_file_is_named(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(WeightsError, match="is not a readable safetensors file"):
        load_weights(path)
    with pytest.raises(WeightsError, match="there is no model file .*absent"):
        load_weights(path.parent / "absent")


def test_an_older_file_goes_through_every_upgrade(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(
        header: weights.Header, state: weights.State
    ) -> tuple[weights.Header, weights.State]:
        return header | {"heads": ["a", "new"]}, {
            name.replace("heads.b.", "heads.new."): tensor for name, tensor in state.items()
        }

    newest = weights.FORMAT_VERSION
    monkeypatch.setattr(weights, "FORMAT_VERSION", newest + 1)
    monkeypatch.setitem(weights.UPGRADES, newest, rename)
    assert load_weights(path).head_names == ("a", "new")


def test_there_is_one_upgrade_for_every_older_version() -> None:
    assert sorted(weights.UPGRADES) == list(range(1, weights.FORMAT_VERSION))


def test_a_file_without_an_offset_keeps_the_sharp_norm_it_was_trained_with(path: Path) -> None:
    header = dict(read_file(path)[0])
    architecture = {
        name: dict(section) if isinstance(section, dict) else section
        for name, section in header["architecture"].items()
    }
    del architecture["painn"]["norm_offset"]
    _rewrite(path, header={"architecture": architecture, "format_version": 2})
    assert load_weights(path).architecture.painn.norm_offset == 1e-8
