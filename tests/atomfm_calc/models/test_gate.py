"""Weights of heads from a composition: HydraGNN's own, ours, and their file."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from atomfm_calc.errors import ConfigError, UnknownNameError, WeightsError
from atomfm_calc.models.gate import (
    CompositionGate,
    count_elements,
    load_gate,
    read_branch_weights,
    save_gate,
)
from tests.made.models import small_gate
from tests.made.structures import STRUCTURES

FIXTURES = Path(__file__).parents[4] / "shared" / "fixtures"


def counts_of(*names: str) -> Tensor:
    numbers = [torch.as_tensor(STRUCTURES[name].atomic_numbers) for name in names]
    sizes = torch.tensor([len(elements) for elements in numbers])
    owner = torch.repeat_interleave(torch.arange(len(names)), sizes)
    return count_elements(torch.cat(numbers), owner, len(names))


EVERY = counts_of(*STRUCTURES)


def branch_state(widths: tuple[int, ...] = (118, 6, 3)) -> dict[str, Tensor]:
    state = {}
    for place, (before, after) in enumerate(pairwise(widths)):
        state[f"net.{2 * place}.weight"] = torch.randn(after, before)
        state[f"net.{2 * place}.bias"] = torch.randn(after)
    return state


def written(path: Path, state: object) -> Path:
    torch.save({"mlp_state_dict": state}, path / "mlp_branch_weights.pt")
    return path / "mlp_branch_weights.pt"


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="the reference models are not here")
@pytest.mark.parametrize("name", ["small", "fusepool", "v50"])
def test_hydragnns_weights_are_its_own(name: str) -> None:
    folder = FIXTURES / f"hydragnn_{name}"
    with np.load(folder / "reference.npz") as reference:
        numbers, sizes = torch.tensor(reference["numbers"]), torch.tensor(reference["natoms"])
        expected = torch.tensor(reference["branch_weights"])
    owner = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
    gate = read_branch_weights(folder / "mlp_branch_weights.pt")
    found = gate(count_elements(numbers, owner, len(sizes)))
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0.0)


def test_a_branch_network_is_linear_layers_with_relu_and_softmax(tmp_path: Path) -> None:
    state = branch_state((118, 6, 7, 8, 9, 10, 3))  # net.10 comes after net.2, though not as text
    gate = read_branch_weights(written(tmp_path, state))
    hidden = EVERY
    for place in range(0, 12, 2):
        hidden = torch.relu(hidden) if place else hidden
        weight, bias = state[f"net.{place}.weight"], state[f"net.{place}.bias"]
        hidden = hidden @ weight.double().T + bias.double()
    torch.testing.assert_close(gate(EVERY), torch.softmax(hidden, dim=1), atol=1e-14, rtol=0.0)
    assert gate.heads == ("branch-0", "branch-1", "branch-2")
    assert not gate.knows_its_training_set


WRONG = {
    "a key that is not of the network": {"net.1.running_mean": torch.zeros(6)},
    "a layer without its bias": {"net.4.weight": torch.zeros(3, 3)},
    "a bias of another width": {"net.0.bias": torch.zeros(5)},
    "an input of other elements": {"net.0.weight": torch.zeros(6, 100)},
    "a value that is not finite": {"net.2.bias": torch.full((3,), torch.nan)},
    "a number in place of a tensor": {"net.0.weight": 1.0},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=list(WRONG))
def test_a_branch_network_that_cannot_be_is_refused(
    tmp_path: Path, change: dict[str, Tensor]
) -> None:
    with pytest.raises(WeightsError, match=r"mlp_branch_weights.pt.*(net|layers)\."):
        read_branch_weights(written(tmp_path, branch_state() | change))


def test_files_that_are_no_branch_network_are_refused(tmp_path: Path) -> None:
    for content, text in [([1], "holds no 'mlp_state_dict'"), (Path("x"), "could run code")]:
        torch.save(content, tmp_path / "other.pt")
        with pytest.raises(WeightsError, match=text):
            read_branch_weights(tmp_path / "other.pt")
    (tmp_path / "torn.pt").write_bytes(written(tmp_path, branch_state()).read_bytes()[:900])
    with pytest.raises(WeightsError, match=r"torn.pt is damaged"):
        read_branch_weights(tmp_path / "torn.pt")
    with pytest.raises(WeightsError, match="there is no file"):
        read_branch_weights(tmp_path / "absent.pt")


def test_another_number_of_heads_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="weighs 3 branches, the model has 2 heads: a, b"):
        read_branch_weights(written(tmp_path, branch_state()), ["a", "b"])


def test_weights_add_up_to_one_and_heads_that_may_not_have_none() -> None:
    gate = small_gate()
    free = gate(EVERY)
    allowed = torch.tensor([[True, False, True, False]]).expand(len(EVERY), -1)
    masked = gate(EVERY, allowed)
    for weights in (free, masked):
        torch.testing.assert_close(weights.sum(dim=1), torch.ones(len(EVERY)).double())
    assert bool((masked[:, [1, 3]] == 0.0).all())
    ratio = free[:, 0] / free[:, 2]
    torch.testing.assert_close(masked[:, 0] / masked[:, 2], ratio, atol=0.0, rtol=1e-12)


def test_fractions_do_not_see_the_size_and_counts_do() -> None:
    ours, theirs = small_gate(), small_gate(reads="counts")
    torch.testing.assert_close(ours(8 * EVERY), ours(EVERY), atol=1e-14, rtol=0.0)
    assert float((theirs(8 * EVERY) - theirs(EVERY)).abs().max()) > 0.1


def test_the_distance_is_the_part_of_the_atoms_that_are_other() -> None:
    gate = small_gate()
    methanol = torch.zeros(1, 118)
    methanol[0, [0, 5, 7]] = torch.tensor([4.0, 1.0, 1.0])
    # ethanol has 6/9, 2/9, 1/9: nearer than water, 2/3 and 1/3
    expected = 0.5 * (abs(4 / 6 - 6 / 9) + abs(1 / 6 - 2 / 9) + abs(1 / 6 - 1 / 9))
    assert float(gate.distance(methanol)) == pytest.approx(expected)
    assert float(gate.distance(5 * counts_of("ethanol"))) == pytest.approx(0.0, abs=1e-7)
    assert gate.unseen_elements(methanol[0]) == []
    assert gate.unseen_elements(counts_of("skewed cell")[0]) == [14]


@pytest.mark.parametrize("reads", ["fractions", "counts"])
def test_a_gate_comes_back_from_its_file(tmp_path: Path, reads: str) -> None:
    gate = small_gate(reads=reads)
    checksum = save_gate(gate, tmp_path / "gate")
    again = load_gate(tmp_path / "gate")
    assert torch.equal(again(EVERY), gate(EVERY))
    assert (again.heads, again.reach) == (gate.heads, gate.reach)
    torch.testing.assert_close(again.distance(EVERY), gate.distance(EVERY), atol=1e-7, rtol=0.0)
    assert save_gate(again, tmp_path / "again") == checksum


def test_a_damaged_gate_is_refused(tmp_path: Path) -> None:
    save_gate(small_gate(), tmp_path / "gate")
    content = (tmp_path / "gate").read_bytes()
    for text, damaged in [
        ("not a readable safetensors", content[:-9]),
        ("format is", content.replace(b"atomfm-gate", b"atomfm-gats")),
        ("has shape", content.replace(b'hidden\\": [5]', b'hidden\\": [6]')),
        ("not a complete gate", content.replace(b"fractions\\", b"fractionz\\")),
    ]:
        (tmp_path / "damaged").write_bytes(damaged)
        with pytest.raises(WeightsError, match=text):
            load_gate(tmp_path / "damaged")


def test_a_gate_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="two heads at least, each once"):
        CompositionGate(["a", "a"])
    with pytest.raises(UnknownNameError, match="no input 'count'"):
        CompositionGate(["a", "b"], reads="count")


def test_making_a_gate_leaves_random_numbers_alone() -> None:
    before = torch.get_rng_state()
    CompositionGate(["a", "b"], [4])
    assert torch.equal(before, torch.get_rng_state())
