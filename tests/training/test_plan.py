"""What a run will draw is decided and shown before it begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from atomfm_calc.config import load_config
from training.config import PretrainConfig
from training.plan import make_plan

CONFIGS = Path(__file__).parents[2] / "training" / "configs" / "pretrain"
SIZES = {
    "alexandria": 5_000_000, "ani1x": 5_000_000, "mptrj": 1_600_000, "oc20": 130_000_000,
    "oc22": 9_000_000, "oc25": 8_000_000, "odac23": 38_000_000, "omat24": 100_000_000,
    "omol25": 100_000_000, "omol25-neutral": 35_000_000, "omol25-non-neutral": 65_000_000,
    "opoly2026": 6_000_000, "nabla2dft": 16_000_000, "qcml": 33_000_000, "qm7x": 4_000_000,
    "transition1x": 10_000_000,
}  # fmt: skip
"""Orders of magnitude of the sixteen datasets."""


@pytest.fixture(scope="module")
def config() -> PretrainConfig:
    return load_config(PretrainConfig, CONFIGS / "sixteen-datasets.yaml")


def test_every_head_has_ranks_of_its_own_and_about_its_share(config: PretrainConfig) -> None:
    plan = make_plan(config, SIZES, world_size=1536)
    owned = [rank for ranks in plan.owners.values() for rank in ranks]
    assert sorted(owned) == list(range(1536))
    for name, share in plan.shares.items():
        # one stream more or less of 1536, on either side of the rounding
        assert share == pytest.approx(plan.asked[name], abs=1.0 / 1536)


def test_no_head_exceeds_its_passes(config: PretrainConfig) -> None:
    plan = make_plan(config, SIZES, world_size=64)
    assert plan.max_samples is not None
    passes = {name: plan.asked[name] * plan.max_samples / SIZES[name] for name in SIZES}
    assert max(passes.values()) == pytest.approx(config.mixing.max_passes)


def test_the_table_names_heads_samples_passes_and_ranks(config: PretrainConfig) -> None:
    text = make_plan(config, SIZES, world_size=1536).table()
    first = text.splitlines()[1].split()
    assert first[:2] == ["alexandria", "5,000,000"]
    assert first[-1].startswith("0-")
    assert text.splitlines()[-1] == "1536 batches per step on 1536 ranks, 1 on each"


def test_a_run_without_a_number_of_samples_shows_none(config: PretrainConfig) -> None:
    duration = replace(config.fit.duration, max_samples=None, max_steps=10)
    endless = replace(
        config,
        fit=replace(config.fit, duration=duration),
        mixing=replace(config.mixing, max_passes=None),
    )
    assert "ends by steps or time" in make_plan(endless, SIZES, world_size=768).table()
