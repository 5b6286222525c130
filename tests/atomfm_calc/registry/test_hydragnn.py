"""Runs of HydraGNN become model folders: what is read, what is refused, what the card says."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from ase import Atoms

from atomfm_calc import FoundationCalc
from atomfm_calc.convert import atoms_from_sample
from atomfm_calc.errors import AtomFMError, ChargeError, ConfigError, UnknownNameError, WeightsError
from atomfm_calc.models.weights import load_weights
from atomfm_calc.registry.hydragnn import ImportChoices, import_hydragnn
from atomfm_calc.registry.hydragnn_files import find_checkpoints
from atomfm_calc.registry.hydragnn_release import RELEASE
from tests.made.hydragnn import MadeRun, energy, write
from tests.made.structures import STRUCTURES

RUN = MadeRun()
PARTS = ("graph_shared", "heads_NN.0")
OTHER_BRANCHES = tuple(f"{part}.branch-1" for part in PARTS)


def _energies(folder: Path) -> list[float]:
    """Of all heads for water, by the calculator."""
    calc = FoundationCalc(folder, default_dtype="float64", device="cpu")
    return list(calc.evaluate_heads(atoms_from_sample(STRUCTURES["water"])).energies.values())


def _expected(run: MadeRun = RUN) -> list[float]:
    return [energy(run, STRUCTURES["water"], branch) for branch in range(run.n_branches)]


@pytest.mark.parametrize("prefix", ["module.model.", "model.", "module.", "", "module.module."])
def test_tensors_are_found_behind_every_wrapper(prefix: str, tmp_path: Path) -> None:
    import_hydragnn(write(RUN, tmp_path / "run", prefix=prefix), tmp_path / "model")
    assert _energies(tmp_path / "model") == pytest.approx(_expected(), rel=1e-9)


def test_weights_in_double_precision_stay_in_double_precision(tmp_path: Path) -> None:
    import_hydragnn(write(RUN, tmp_path / "run"), tmp_path / "model")
    model = load_weights(tmp_path / "model" / "model.safetensors")
    bias = RUN.tensors()["heads_NN.0.branch-2.4.bias"]
    assert model.dtype == torch.float64
    assert model.heads["branch-2"].network[-1].bias.numpy() == bias


def _write_task_parallel(folder: Path, run: MadeRun) -> None:
    """One file per branch; the configuration conditions, the tensors have no such layer."""
    for branch in range(run.n_branches):
        others = [str(other) for other in range(run.n_branches) if other != branch]
        left_out = [f"{part}.branch-{other}" for part in PARTS for other in others]
        write(run, folder, name=f"run_branch{branch}.pk", prefix="module.", without=tuple(left_out))
    (folder / "config.json").write_text(json.dumps(RUN.config), encoding="utf-8")


def test_the_branches_of_a_task_parallel_run_become_one_model(tmp_path: Path) -> None:
    run = replace(RUN, conditioning="none")
    _write_task_parallel(tmp_path / "run", run)
    card = import_hydragnn(tmp_path / "run", tmp_path / "model")
    assert "no effect (task-parallel" in card.description
    assert _energies(tmp_path / "model") == pytest.approx(_expected(run), rel=1e-9)


def test_branches_with_different_encoders_are_not_put_together(tmp_path: Path) -> None:
    _write_task_parallel(tmp_path, replace(RUN, conditioning="none"))
    content = torch.load(tmp_path / "run_branch1.pk", weights_only=True)
    content["model_state_dict"]["module.graph_convs.0.module_2.0.bias"] += 1e-9
    torch.save(content, tmp_path / "run_branch1.pk")
    with pytest.raises(WeightsError, match=r"differ in graph_convs.0.module_2.0.bias: .*epoch"):
        import_hydragnn(tmp_path, tmp_path / "model")


def test_a_file_of_several_branches_is_not_taken_for_that_of_one(tmp_path: Path) -> None:
    write(RUN, tmp_path, name="run_branch0.pk", without=OTHER_BRANCHES)
    with pytest.raises(WeightsError, match=r"named for branch 0 and holds branches \[0, 2\]"):
        import_hydragnn(tmp_path, tmp_path / "model")


def test_the_last_epoch_is_taken_in_the_order_of_numbers(tmp_path: Path) -> None:
    for name in ("run_epoch_9.pk", "run_epoch_10.pk"):
        (tmp_path / name).touch()
    assert [file.name for file in find_checkpoints(tmp_path)] == ["run_epoch_10.pk"]
    (tmp_path / "run.pk").symlink_to("run_epoch_10.pk")
    assert [file.name for file in find_checkpoints(tmp_path)] == ["run.pk"]
    (tmp_path / "other.pk").touch()
    with pytest.raises(WeightsError, match="several runs: other.pk, run.pk; give one"):
        find_checkpoints(tmp_path)


class _Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("open('sprung', 'w')",)


@pytest.mark.parametrize("place", ["beside the tensors", "in place of all"])
def test_code_in_a_checkpoint_is_refused_and_not_run(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(RUN, tmp_path)
    if place == "beside the tensors":
        content = torch.load(tmp_path / "run.pk", weights_only=True)
        torch.save({**content, "optimizer_state_dict": _Trap()}, tmp_path / "run.pk")
    else:
        (tmp_path / "run.pk").write_bytes(pickle.dumps(_Trap()))
    with pytest.raises(WeightsError, match="more than tensors, which is refused"):
        import_hydragnn(tmp_path, tmp_path / "model")
    assert not (tmp_path / "sprung").exists()
    assert not (tmp_path / "model").exists()


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    file = write(RUN, tmp_path) / "run.pk"
    file.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(WeightsError, match="run.pk is damaged"):
        import_hydragnn(tmp_path, tmp_path / "model")


def test_what_does_not_fit_the_configuration_is_told_by_name(tmp_path: Path) -> None:
    write(RUN, tmp_path, without=("graph_convs.1.module_2.0.bias",))
    content = torch.load(tmp_path / "run.pk", weights_only=True)
    state = content["model_state_dict"]
    state["module.model.heads_NN.0.branch-1.4.bias"] = torch.zeros(3)
    state["module.model.surprise"] = torch.zeros(1)
    torch.save(content, tmp_path / "run.pk")
    with pytest.raises(WeightsError) as told:
        import_hydragnn(tmp_path, tmp_path / "model")
    for text in (
        "graph_convs.1.module_2.0.bias is missing",
        "heads_NN.0.branch-1.4.bias has shape (3,), the configuration asks for (1,)",
        "surprise is unknown",
    ):
        assert text in str(told.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mpnn_type": "MACE"}, "mpnn_type is 'MACE'; .*'PAINN' is supported"),
        ({"activation_function": "gelu"}, "no activation function 'gelu'"),
        (
            {"graph_attr_conditioning_mode": "film"},
            r"by 'film', the checkpoint .*\['concat_node'\]",
        ),
        ({"output_type": ["node"]}, "one energy per structure"),
        ({"global_attn_engine": "GPS"}, "global attention"),
        ({"enable_interatomic_potential": False}, "no interatomic potential"),
        ({"hidden_dim": 7}, "has shape"),
        ({"num_conv_layers": 1}, "graph_convs.1.module_0.filter_layer.bias is unknown"),
        ({"output_heads": {"graph": []}}, "no 'branch-0'"),
        ({"graph_pooling": "median"}, "no pooling 'median'"),
    ],
)
def test_other_networks_and_configurations_are_refused(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    write(RUN, tmp_path)
    config = replace(RUN, changes=changes).config
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(AtomFMError, match=message):
        import_hydragnn(tmp_path, tmp_path / "model")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"cannot read .*config.json: No such file"):
        import_hydragnn(tmp_path, tmp_path / "model")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match="no configuration of HydraGNN"):
        import_hydragnn(tmp_path, tmp_path / "model")


def test_sixteen_branches_are_those_of_the_release(tmp_path: Path) -> None:
    run = MadeRun(n_branches=16, conditioning="none")
    card = import_hydragnn(write(run, tmp_path / "run"), tmp_path / "model")
    assert list(card.heads) == list(RELEASE)
    assert card.default_head == "omat24"
    assert card.heads["omol25"].uses_charge
    ion = Atoms("OH", [(0, 0, 0), (0, 0, 1)], info={"charge": -1})
    ion.calc = FoundationCalc(tmp_path / "model", head="qm7x", device="cpu")
    with pytest.raises(ChargeError, match="head 'qm7x' was not trained on charge -1.*omol25"):
        ion.get_potential_energy()


def test_files_of_the_user_name_heads_and_fill_card_and_references(tmp_path: Path) -> None:
    files = {
        "names": "branches: {0: alpha, 1: beta, 2: gamma}",
        "card": "{licence: MIT, default_head: beta, heads: {beta: {theory: PBE}}}",
        "references": "heads: {beta: {H: -13.5, O: -2000.25}}",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    choices = ImportChoices(
        head_names=tmp_path / "names", card=tmp_path / "card", references=tmp_path / "references"
    )
    card = import_hydragnn(write(RUN, tmp_path / "run"), tmp_path / "model", choices)
    assert (card.default_head, card.licence, card.heads["beta"].theory) == ("beta", "MIT", "PBE")
    found, expected = _energies(tmp_path / "model"), _expected()
    assert found[1] - expected[1] == pytest.approx(2 * -13.5 - 2000.25, abs=1e-9)
    assert found[0] == pytest.approx(expected[0], rel=1e-9)


@pytest.mark.parametrize(
    ("choice", "text", "error", "message"),
    [
        ("head_names", "branches: {0: alpha}", ConfigError, r"names no branch \[1, 2\]"),
        ("references", "heads: {omat24: {H: 1.0}}", UnknownNameError, "no head 'omat24'"),
        ("references", "heads: {branch-0: {Xx: 1.0}}", UnknownNameError, "no element 'Xx'"),
        ("card", "heads: {alpha: {}}", UnknownNameError, "no head 'alpha'"),
        ("card", "heads: {branch-0: {color: red}}", ConfigError, "unknown key .*color"),
    ],
)
def test_a_wrong_file_of_the_user_is_refused(
    choice: str, text: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text(text, encoding="utf-8")
    choices = ImportChoices(**{choice: tmp_path / "file"})
    with pytest.raises(error, match=message):
        import_hydragnn(write(RUN, tmp_path / "run"), tmp_path / "model", choices)
    assert not (tmp_path / "model").exists()


def test_the_number_of_neighbors_is_limited_on_request_only(tmp_path: Path) -> None:
    write(RUN, tmp_path / "run")
    for neighbors, limit in (("all", None), ("hydragnn", 20)):
        import_hydragnn(tmp_path / "run", tmp_path / neighbors, ImportChoices(neighbors=neighbors))
        model = load_weights(tmp_path / neighbors / "model.safetensors")
        assert model.architecture.hydra_painn.max_neighbors == limit


def test_an_existing_model_is_not_overwritten(tmp_path: Path) -> None:
    write(RUN, tmp_path / "run")
    import_hydragnn(tmp_path / "run", tmp_path / "model")
    with pytest.raises(ConfigError, match="holds a model already"):
        import_hydragnn(tmp_path / "run", tmp_path / "model")
