# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Pretrain on a laptop, then on a cluster
#
# From data of several levels of theory to one model with a head for each. What differs between a
# laptop and a cluster is one section of one YAML file. The data here are in a checkout of the
# repository (`pip install -e ".[training,plots]"`); public datasets are listed by `python -m
# training datasets`.

# %%
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import yaml
from ase.build import molecule

import training
from atomfm_calc import FoundationCalc
from atomfm_calc.config import parse_config
from training.config import PretrainConfig
from training.evaluate import evaluate_run
from training.export import CardText, export
from training.pretrain import pretrain

collection = Path(training.__file__).parent / "collection/reference"
folder = Path(tempfile.mkdtemp(prefix="atomfm-pretraining-"))
print("files are in", folder)

# %% [markdown]
# ## The run
#
# Every key has its default in `training/config.py`; an unknown one is an error that names the
# nearest. Small heads are drawn more often than their size (`temperature`). This run is so short
# that its model is good for nothing but to see each step: on one core,
# `training/configs/pretrain/painn-lead.yaml` takes an hour.

# %%
content = {
    "output": str(folder / "run"),
    "heads": ["gfn2-xtb", "pbe0-svp"],
    "architecture": {
        "painn": {"n_features": 32, "n_layers": 2, "n_radial": 12, "cutoff": 4.5},
        "head": {"hidden": [32]},
    },
    "kernel": "cpu",
    "data": {
        "collection": str(collection),
        "cache": str(folder / "prepared"),
        "max_structures_per_head": 300,
        "max_force": 20.0,
    },
    "mixing": {"rule": "temperature", "temperature": 2.0},
    "batch": {"max_atoms": 256, "max_edges": 6000, "max_structures": 8},
    "fit": {
        "duration": {"max_samples": 1200},
        "loss": {"energy_weight": 1.0, "forces_weight": 5.0},
        "optimizer": {"learning_rate": 4e-3, "warmup_fraction": 0.05},
        "ema_decay": 0.95,
        "validate_every_steps": 30,
        "log_every_steps": 5,
    },
}
result = pretrain(parse_config(PretrainConfig, content, "this notebook"))
print(f"{result.steps} steps in {result.seconds:.0f} s, finished: {result.finished}")

# %% [markdown]
# ## What the run folder tells
#
# `metrics.jsonl` has a line per log and per validation. `python -m training pretrain
# run/config.yaml --resume` goes on after a stop, with the same bits as if there had been none.

# %%
lines = [json.loads(line) for line in (folder / "run/metrics.jsonl").read_text().splitlines()]
steps = [line for line in lines if "loss" in line]
checks = [line for line in lines if "errors" in line]

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
left.semilogy([line["step"] for line in steps], [line["loss"] for line in steps])
left.set(xlabel="step", ylabel="loss")
for head in content["heads"]:
    errors = [line["errors"][head]["forces_mae_meV_per_angstrom"] for line in checks]
    right.plot([line["step"] for line in checks], errors, "o-", label=head)
right.set(xlabel="step", ylabel="validation error of forces (meV/Å)", ylim=(0, None))
right.legend()
plt.show()
assert np.mean([line["loss"] for line in steps[-5:]]) < 0.8 * steps[0]["loss"]

# %% [markdown]
# ## Errors beside baselines, then a model folder
#
# Predicting the mean energies of the elements, and no forces, is the least that a network must
# beat. The card that is written takes the errors and the facts of the datasets; what only you
# know stands in its text. A head whose data may not be passed on is refused.

# %%
evaluation = evaluate_run(folder / "run", "test")
print(evaluation.table())
text = CardText(
    name="first",
    version="0.0.1",
    title="Two heads trained in a notebook",
    description="150 steps of a small network.",
    licence="BSD-3-Clause",
    citation="none",
    default_head="gfn2-xtb",
    default_head_reason="It has seen the most elements.",
)
card = export(folder / "run", folder / "model", text)
atoms = molecule("CH3OH")
atoms.calc = FoundationCalc(folder / "model")
print(f"{card.label}: {atoms.get_potential_energy():.2f} eV for methanol, head {atoms.calc.head}")
for head, errors in evaluation.model.items():
    nothing = evaluation.references_only[head]
    assert errors.forces_mae_meV_per_angstrom < nothing.forces_mae_meV_per_angstrom

# %% [markdown]
# ## The same on a cluster
#
# Large data are converted to shards once; `parallel` says how ranks share the work. What a step
# sees depends on `batches_per_step` alone, so that the same configuration is the same run on 1 or
# 64 ranks, up to rounding: try it on two processes of the laptop first.
#
# ```sh
# mpiexec -n 64 python -m training convert omat24 --root downloads --out shards
# torchrun --nproc_per_node 2 -m training pretrain cluster.yaml
# python -m training submit --cluster frontier --nodes 8 --config cluster.yaml \
#     --account ABC --time 02:00:00 --chain 4 --dry-run
# python -m training scaling --config cluster.yaml --out scaling     # how far will it scale?
# ```
#
# `submit` prints the job script and, with `--submit` in place of `--dry-run`, submits a chain of
# jobs, each of which resumes the one before. No run has been made on a cluster yet: read the
# script, and the facts about the machine in `training/jobs/clusters`, before you trust it.

# %%
cluster = {
    **content,
    "output": "runs/first",
    "kernel": "reference",
    "data": {"shards": "shards"},
    "parallel": {"strategy": "ddp", "batches_per_step": 64},
}
(folder / "cluster.yaml").write_text(yaml.safe_dump(cluster))
command = "submit --cluster frontier --nodes 8 --config cluster.yaml --account ABC --dry-run"
done = subprocess.run(
    [sys.executable, "-m", "training", *command.split()],
    cwd=folder,
    capture_output=True,
    text=True,
    check=True,
)
script = done.stdout
print(
    *[line for line in script.splitlines() if line.startswith("#SBATCH") or "srun" in line],
    sep="\n",
)
assert "#SBATCH" in script
