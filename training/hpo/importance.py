"""Which parameters of a campaign the score depends on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.inspection import permutation_importance

from training.hpo.campaign import CampaignConfig
from training.hpo.table import Trial

N_TREES = 200
N_REPEATS = 20


def importance(campaign: CampaignConfig, trials: Sequence[Trial]) -> dict[str, float]:
    """Loss of R² of a forest of trees, fitted to the scored trials, without each parameter.

    Args:
        campaign: whose parameters are asked for.
        trials: those with a score are used.

    Returns:
        Key of the parameter -> importance; near 0 where the score does not depend on it.
    """
    scored = [trial for trial in trials if trial.has_score]
    columns = [
        [
            float(parameter.values.index(trial.values[key]))
            if parameter.kind == "choice"
            else float(trial.values[key])
            for trial in scored
        ]
        for key, parameter in campaign.space.items()
    ]
    features = np.array(columns).T
    target = np.array([trial.score for trial in scored], dtype=float)
    forest = ExtraTreesRegressor(n_estimators=N_TREES, random_state=0).fit(features, target)
    found = permutation_importance(forest, features, target, n_repeats=N_REPEATS, random_state=0)
    return dict(zip(campaign.space, found.importances_mean.tolist(), strict=True))
