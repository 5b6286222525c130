"""A campaign whose trials are a script that behaves as it is told, in place of training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from atomfm_calc.config import parse_config
from training.hpo.campaign import CampaignConfig

SCRIPT = """
import json, math, pathlib, signal, sys, time

campaign, config, result = sys.argv[-3:]
folder = pathlib.Path(config).parent
number = int(folder.name)
values = json.loads((folder / "values.json").read_text())
behavior = json.loads(pathlib.Path(sys.argv[1]).read_text()).get(str(number), "learn")
with (folder / "starts.txt").open("a") as file:
    file.write("started\\n")
rate = values["fit.optimizer.learning_rate"]
energy = 10.0 + 100.0 * abs(math.log10(rate / 0.003))
if behavior == "crash":
    sys.exit("the node caught fire")
if behavior == "hang":
    time.sleep(600)
if behavior == "eat":
    eaten = bytearray(400 * 2**20)
    eaten[::4096] = b"x" * len(eaten[::4096])
    time.sleep(600)
if behavior == "nan":
    energy = math.nan
if behavior == "explode":
    pathlib.Path(result).write_text(json.dumps({"failure": "not_finite", "reason": "step 3"}))
    sys.exit(1)
if behavior == "slow":
    time.sleep(1.0)
if behavior == "hopeless":
    energy = 5000.0
run = folder / "run"
run.mkdir(exist_ok=True)
errors = {"first": {"energy_mae_meV_per_atom": energy, "forces_mae_meV_per_angstrom": None}}
for step in (50, 100):
    line = {"kind": "validation", "step": step, "seconds": 1.0, "samples_seen": {}}
    line["errors"] = errors
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\\n")
    if behavior == "hopeless" and step == 50:
        time.sleep(600)
content = {"errors": errors, "microseconds_per_atom": 5.0 + 1e3 * rate, "n_parameters": 7}
pathlib.Path(result).write_text(json.dumps(content))
"""


def campaign(folder: Path, behaviors: dict[int, str] | None = None, **changes: Any) -> Any:
    """A campaign of one parameter, the learning rate, with optimum 0.003.

    Args:
        folder: for the campaign and the script.
        behaviors: trial -> what its script does: crash, hang, eat, nan, explode, slow, hopeless.
        changes: keys of the campaign in place of the usual ones.
    """
    import json

    script, told = folder / "trial.py", folder / "behaviors.json"
    script.write_text(SCRIPT, encoding="utf-8")
    told.write_text(json.dumps(behaviors or {}), encoding="utf-8")
    content: dict[str, Any] = {
        "output": str(folder / "campaign"),
        "max_trials": 4,
        "random_trials": 2,
        "space": {
            "fit.optimizer.learning_rate": {
                "kind": "float", "low": 1e-5, "high": 1e-1, "log": True,
            }
        },
        "limits": {"max_minutes": 0.04, "max_memory_GiB": 0.3, "stop_after_fraction": None},
        "evaluator": {
            "kind": "nodes",
            "launch": f"{sys.executable} {script} {told} {{nodes}}",
        },
        "trial": {
            "output": "unused",
            "heads": ["first"],
            "fit": {"duration": {"max_steps": 100}},
        },
    }  # fmt: skip
    return parse_config(CampaignConfig, content | changes, origin="test")
