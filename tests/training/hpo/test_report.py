"""The report names things so that they can be told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from atomfm_calc.config import load_config
from training.hpo.campaign import CampaignConfig
from training.hpo.report import _short_name

CAMPAIGNS = sorted(Path("training/configs/hpo").rglob("*.yaml"))


@pytest.mark.parametrize("path", CAMPAIGNS, ids=str)
def test_every_parameter_has_a_name_of_its_own(path: Path) -> None:
    campaign = load_config(CampaignConfig, path)
    names = [_short_name(key, campaign) for key in campaign.space]
    assert len(set(names)) == len(names)
    assert not any(name.isdigit() for name in names)


def test_names_are_as_short_as_they_can_be() -> None:
    campaign = load_config(CampaignConfig, Path("training/configs/hpo/laptop/painn.yaml"))
    assert _short_name("head.n_layers", campaign) == "head.n_layers"
    assert _short_name("fit.optimizer.learning_rate", campaign) == "learning_rate"
