# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Search for good settings
#
# A campaign is one YAML file: what may vary, and a training to vary. Each trial is a training in
# a process of its own, DeepHyper proposes the next one, and a table on the disk is all that a
# campaign depends on: it can be killed at any moment.
#
# ```sh
# python -m training hpo run training/configs/hpo/laptop/painn.yaml
# python -m training hpo resume work/hpo/painn               # after Ctrl-C, a crash or kill -9
# python -m training hpo report work/hpo/painn               # work/hpo/painn/report.html
# python -m training hpo promote work/hpo/painn work/painn-best.yaml
# ```
#
# Here: three trials of seconds, so that the notebook ends. They find nothing; twenty trials of
# half a minute do, as `docs/searches.md` reports.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import training
from atomfm_calc.config import parse_config
from training.hpo.campaign import CampaignConfig
from training.hpo.promote import promote
from training.hpo.report import write_report
from training.hpo.run import start_campaign

collection = Path(training.__file__).parent / "collection/reference"
folder = Path(tempfile.mkdtemp(prefix="atomfm-search-"))
print("files are in", folder)

# %% [markdown]
# ## What is searched
#
# Keys are those of the training's configuration. Rates and widths are searched in their
# logarithm. The score is the mean over heads of the logarithm of the validation errors, in stated
# units: halving any of the errors counts the same, whichever head it is of. Smaller is better.

# %%
campaign = parse_config(
    CampaignConfig,
    {
        "output": str(folder / "campaign"),
        "max_trials": 3,
        "random_trials": 2,
        "limits": {"max_minutes": 8.0, "stop_after_fraction": None},
        "objective": {"validation_structures_per_head": 20},
        "space": {
            "architecture.painn.n_features": {"kind": "int", "low": 16, "high": 48, "log": True},
            "fit.optimizer.learning_rate": {
                "kind": "float",
                "low": 5e-4,
                "high": 2e-2,
                "log": True,
            },
        },
        "trial": {
            "output": "unused",
            "heads": ["pbe0-svp"],
            "architecture": {
                "painn": {"n_features": 24, "n_layers": 2, "n_radial": 8, "cutoff": 4.0},
                "head": {"hidden": [16]},
            },
            "kernel": "reference",
            "data": {
                "collection": str(collection),
                "cache": str(folder / "prepared"),
                "max_structures_per_head": 100,
                "max_force": 20.0,
            },
            "batch": {"max_atoms": 128, "max_edges": 3000, "max_structures": 8},
            "fit": {
                "duration": {"max_samples": 160},
                "optimizer": {"learning_rate": 4e-3, "warmup_fraction": 0.05},
                "ema_decay": 0.9,
                "validate_every_steps": 10,
                "validate_structures_per_head": 20,
            },
        },
    },
    "this notebook",
)
trials = start_campaign(campaign)
for trial in trials:
    values = ", ".join(f"{key.split('.')[-1]} {value:.3g}" for key, value in trial.values.items())
    print(
        f"{trial.number} {trial.status:9} score {trial.score:.3f} {trial.seconds:5.0f} s  {values}"
    )
assert [trial.status for trial in trials] == ["finished"] * 3

# %% [markdown]
# ## What was found
#
# The first trial has the campaign's own values: what a search is worth is the distance from it. A
# trial that crashes, takes too long or too much memory is a row as well, and the search learns to
# avoid its like.

# %%
rates = [trial.values["fit.optimizer.learning_rate"] for trial in trials]
widths = [trial.values["architecture.painn.n_features"] for trial in trials]
scores = np.array([trial.score for trial in trials])
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained", sharey=True)
points = left.scatter(rates, scores, c=widths, s=60, cmap="viridis")
left.annotate("own values", (rates[0], scores[0]), (6, 4), textcoords="offset points", fontsize=9)
left.set(xscale="log", xlabel="learning rate", ylabel="score (smaller is better)")
figure.colorbar(points, ax=left, label="features")
right.plot(scores, "o", color="0.6", label="trials")
right.step(range(len(scores)), np.minimum.accumulate(scores), where="post", label="best so far")
right.set(xlabel="trial", xticks=range(len(scores)))
right.legend()
plt.show()

# %% [markdown]
# ## From a search to a run
#
# The report is one HTML page: best so far, parameters, their importance, failures. `promote`
# writes the best trial as the configuration of a pretraining, to be made longer.

# %%
report = write_report(campaign.output, folder / "report.html")
best = promote(campaign.output, folder / "best.yaml")
print(f"{report}: {report.stat().st_size // 1000} kB")
print(f"trial {best.number} is the best")
print(*(folder / "best.yaml").read_text().splitlines()[:12], sep="\n")
assert best.score == scores.min()

# %% [markdown]
# ## On a cluster
#
# `training/configs/hpo/*.yaml` are campaigns of the sixteen public datasets with 256 nodes a
# trial, and `python -m training hpo submit CAMPAIGN --cluster frontier --nodes 2048 --account
# ABC` prints their job scripts. None has run yet.
