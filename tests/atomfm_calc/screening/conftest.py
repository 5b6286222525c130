"""A tiny model folder, campaigns on it, and the rows that they leave."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.dataset
import pytest

from atomfm_calc.config import parse_config
from atomfm_calc.screening.campaign import Campaign
from atomfm_calc.screening.drive import run_campaign
from tests.made.models import make_model_folder

RANDOM = {"kind": "random", "count": 60, "max_atoms": 6, "min_atoms": 2}


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, four heads; "everything" is not the default."""
    return make_model_folder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def campaign(model: Path) -> Callable[..., Campaign]:
    """A campaign of random structures in blocks of 7, with changes."""

    def make(**changes: Any) -> Campaign:
        content = {
            "candidates": RANDOM,
            "model": str(model),
            "device": "cpu",
            "allow_unseen_elements": True,
            "block_size": 7,
            "shortest_distance": 0.0,
        }
        return parse_config(Campaign, content | changes, "the test")

    return make


@pytest.fixture
def screen(campaign: Callable[..., Campaign], tmp_path: Path) -> Callable[..., Path]:
    """Run a campaign with changes; returns the folder of its results."""

    def run(out: str = "results", **changes: Any) -> Path:
        run_campaign(campaign(**changes), tmp_path / out)
        return tmp_path / out

    return run


def table(folder: Path, kind: str = "rows") -> pyarrow.Table:
    """All rows of a stage by index, as any reader of Parquet finds them."""
    found = pyarrow.dataset.dataset(folder / kind, format="parquet").to_table()
    return found.sort_by("index")
