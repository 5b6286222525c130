"""Who gains from a shared backbone, and who loses, when heads have very unequal amounts of data?

    python benchmarks/imbalance.py [CONFIG] [section.key=value ...] [--seeds 1 2]

For each seed, which is that of the weights, of the draws and of the division of the data:

- joint: all heads of the configuration together, by each rule of `RULES`;
- own draws: a head alone, with as many of its own structures drawn as in the joint run of a rule,
  and in batches so small that it has as many optimizer steps, as far as its draws allow; the
  smallest heads for every rule, the others for `BUDGET_RULE`;
- whole budget: the smallest heads alone, with all that the joint run of `BUDGET_RULE` had: as many
  structures drawn, or as many atoms where they come first.

All begin with fresh weights of the same sizes, with the same learning rate over the whole of a run,
and are judged by their averaged weights at the end, on the test split of the seed. Runs that are
done are not done again; an interrupted one goes on. Writes JSON, a table and a plot; with --report,
of what is done so far.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from imbalance_report import draw, markdown
from machine import machine_facts

from atomfm_calc.config import load_config
from training.config import DurationConfig, MixingConfig, PretrainConfig
from training.engine.checkpoint import CHECKPOINT_FILE, load_checkpoint
from training.engine.interruption import RESUME_ME
from training.evaluate import evaluate_run, evaluation_file, read_evaluation
from training.pretrain import alone_config, pretrain
from training.training_data import SUMMARY_FILE

CONFIG = Path("training/configs/pretrain/imbalance.yaml")
SEEDS = (1, 2)
"""With 0, the division leaves no phosphorus to train the smallest head with, but tests it."""
RULES = {
    "proportional": MixingConfig(rule="proportional"),
    "temperature-2": MixingConfig(rule="temperature", temperature=2.0),
    "equal": MixingConfig(rule="equal"),
}
"""By the name of their run folders."""
BUDGET_RULE = "temperature-2"
"""The joint run whose whole budget a small head gets."""
N_SMALLEST = 4
"""Heads that get it."""
MOST_TESTED = 400
"""Test structures of a head, spread evenly over its split; the same ones for all runs of a seed."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One finished training."""

    seed: int
    """Of weights, draws and division."""
    kind: str
    """joint, own draws or whole budget."""
    rule: str
    """Key of `RULES`: of the run itself, or of the joint run that it is compared with."""
    drawn: dict[str, int]
    """Head -> structures drawn."""
    steps: int
    """Optimizer steps."""
    seconds: float
    """Of training, by the clock; others may have used the machine."""
    test: dict[str, dict[str, float | None]]
    """Head -> errors on the test split, fields of `SplitErrors`."""


def seeded(config: PretrainConfig, seed: int) -> PretrainConfig:
    """The configuration with another division, other weights and other draws."""
    return replace(config, seed=seed, data=replace(config.data, split_seed=seed))


def batch_for_steps(drawn: int, steps: int, most: int) -> int:
    """Structures per batch with which a head alone makes as many steps, as far as it can.

    Args:
        drawn: structures of the head.
        steps: of the joint run.
        most: structures per batch of the joint run.
    """
    return min(most, max(1, round(drawn / steps)))


def whole_budget(
    drawn: Mapping[str, int], atoms_per_structure: Mapping[str, float], head: str
) -> int:
    """Structures of a head that cost what a joint run did.

    Args:
        drawn: head -> structures, of the joint run.
        atoms_per_structure: head -> mean.
        head: the one to be alone.

    Returns:
        as many as were drawn in all, or fewer if these had more atoms than all that were drawn.
    """
    n_atoms = sum(number * atoms_per_structure[name] for name, number in drawn.items())
    return min(sum(drawn.values()), round(n_atoms / atoms_per_structure[head]))


def smallest(sizes: Mapping[str, int]) -> list[str]:
    """The heads with the fewest training structures, `N_SMALLEST` or all but one of them."""
    return sorted(sizes, key=lambda name: sizes[name])[: min(N_SMALLEST, len(sizes) - 1)]


def is_done(folder: Path) -> bool:
    """Whether a run is trained and evaluated."""
    return (folder / evaluation_file("test")).exists()


def train(config: PretrainConfig) -> None:
    """Train and evaluate, as far as that was not done."""
    folder = config.output
    if is_done(folder):
        return
    result = pretrain(config, resume=(folder / CHECKPOINT_FILE).exists())
    if not result.finished:
        raise SystemExit(RESUME_ME)
    evaluate_run(folder, "test", MOST_TESTED)


def read_run(folder: Path, seed: int, kind: str, rule: str) -> Run:
    """What a run that is done has left in its folder."""
    state = load_checkpoint(folder).state
    evaluation = read_evaluation(folder / evaluation_file("test"))
    return Run(
        seed=seed,
        kind=kind,
        rule=rule,
        drawn=state["samples_seen"],
        steps=state["step"],
        seconds=round(state["seconds"], 1),
        test={head: asdict(errors) for head, errors in evaluation.model.items()},
    )


class Planned(NamedTuple):
    """A training that is to be done, or was."""

    config: PretrainConfig
    """With the run folder in `output`."""
    kind: str
    """As in `Run`."""
    rule: str
    """As in `Run`."""


def plan_of_seed(base: PretrainConfig, seed: int, place: Path) -> Iterator[Planned]:
    """All trainings of a seed; those of heads alone as soon as their joint run is done.

    Args:
        base: all heads; its duration is that of the joint runs.
        seed: of everything.
        place: folder for the run folders.
    """
    config = seeded(base, seed)
    most = config.batch.max_structures
    for rule, mixing in RULES.items():
        folder = place / rule
        yield Planned(replace(config, output=folder, mixing=mixing), "joint", rule)
        if is_done(folder):
            joint = read_run(folder, seed, "joint", rule)
            small = smallest({head: facts["train"] for head, facts in head_facts(folder).items()})
            for head in config.heads if rule == BUDGET_RULE else small:
                size = batch_for_steps(joint.drawn[head], joint.steps, most)
                yield Planned(alone_config(folder, head, size), "own draws", rule)
    folder = place / BUDGET_RULE
    if is_done(folder):
        joint = read_run(folder, seed, "joint", BUDGET_RULE)
        facts = head_facts(folder)
        atoms = {head: facts[head]["atoms_per_structure"] for head in facts}
        for head in smallest({head: facts[head]["train"] for head in facts}):
            duration = DurationConfig(max_samples=whole_budget(joint.drawn, atoms, head))
            own = alone_config(folder, head, most)
            fit = replace(own.fit, duration=duration)
            own = replace(own, output=place / "whole" / head, fit=fit)
            yield Planned(own, "whole budget", BUDGET_RULE)


def head_facts(run: Path) -> dict[str, dict[str, float]]:
    """Head -> structures of each split, atoms per training structure."""
    content = json.loads((run / SUMMARY_FILE).read_text(encoding="utf-8"))["heads"]
    return {
        head: {
            **entry["n_structures"],
            "atoms_per_structure": entry["n_atoms"] / entry["n_structures"]["train"],
        }
        for head, entry in content.items()
    }


def main(given: Sequence[str] | None = None) -> None:
    """Train what is missing; write the results after every seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path, nargs="?", default=CONFIG)
    parser.add_argument("overrides", nargs="*", help="section.key=value")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--runs", type=Path, default=Path("work/imbalance/runs"))
    parser.add_argument("--report", action="store_true", help="of what is done; train nothing")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/imbalance"))
    arguments = parser.parse_args(given)
    base = load_config(PretrainConfig, arguments.config, arguments.overrides)
    logging.basicConfig(level=logging.WARNING)
    content: dict[str, Any] = {
        "measured_by": f"python benchmarks/imbalance.py {arguments.config}",
        "machine": machine_facts(),
        "joint samples": base.fit.duration.max_samples,
        "heads": {},
        "references": {},
        "runs": [],
    }
    for seed in arguments.seeds:
        place = arguments.runs / f"seed-{seed}"
        for planned in plan_of_seed(base, seed, place):
            if not arguments.report:
                train(planned.config)
            if is_done(planned.config.output):
                run = read_run(planned.config.output, seed, planned.kind, planned.rule)
                content["runs"].append(asdict(run))
                print(one_line(run), flush=True)
        folder = place / BUDGET_RULE
        if not is_done(folder):
            print(f"seed {seed}: no report before {folder} is done", flush=True)
            content["runs"] = [run for run in content["runs"] if run["seed"] != seed]
            continue
        content["heads"][str(seed)] = head_facts(folder)
        references = read_evaluation(folder / evaluation_file("test")).references_only
        content["references"][str(seed)] = {head: asdict(row) for head, row in references.items()}
        write(content, arguments.out)


def one_line(run: Run) -> str:
    """For the screen."""
    errors = "  ".join(
        f"{head} {row['energy_mae_meV_per_atom'] or math.nan:.1f}/"
        f"{row['forces_mae_meV_per_angstrom'] or math.nan:.0f}"
        for head, row in run.test.items()
    )
    return f"seed {run.seed} {run.kind} {run.rule}: {run.steps} steps, {run.seconds} s: {errors}"


def write(content: Mapping[str, Any], out: Path) -> None:
    """JSON, Markdown and PNG beside each other."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    out.with_suffix(".md").write_text(markdown(content), encoding="utf-8")
    draw(content).savefig(out.with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    main()
