"""A campaign as one HTML page with its pictures inside."""

from __future__ import annotations

import base64
import html
import io
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from atomfm_calc.config import load_config
from atomfm_calc.web_page import web_page
from training.hpo.campaign import CampaignConfig, Parameter, Value
from training.hpo.importance import importance
from training.hpo.run import table_file
from training.hpo.supervise import CAMPAIGN_FILE
from training.hpo.table import (
    Trial,
    best_trials,
    costs_of,
    pareto_front,
    read_table,
    scores_of,
)

MIN_FOR_IMPORTANCE = 8
"""Scored trials below which importance would be noise."""
STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;font-size:13px}td,th{padding:.2em .6em;text-align:right;"
    "border-bottom:1px solid #ddd}img{max-width:100%}.failed{color:#a33}"
)


def write_report(folder: Path, path: Path) -> Path:
    """Write the page of a campaign.

    Args:
        folder: of the campaign.
        path: the HTML file.

    Returns:
        `path`.

    Raises:
        ConfigError: there are no trials yet.
    """
    table_file(folder)
    campaign = load_config(CampaignConfig, folder / CAMPAIGN_FILE)
    trials = sorted(read_table(folder), key=lambda trial: trial.number)
    parts = [f"<h1>Campaign {html.escape(campaign.output.name)}</h1>", _summary(campaign, trials)]
    for title, draw, needed in PICTURES:
        if sum(trial.has_score for trial in trials) >= needed:
            parts.append(f"<h2>{title}</h2>{_picture(draw, campaign, trials)}")
    parts.append(f"<h2>Trials</h2>{_table(campaign, trials)}")
    path.write_text(web_page("Campaign", "".join(parts), STYLE), encoding="utf-8")
    return path


def _summary(campaign: CampaignConfig, trials: Sequence[Trial]) -> str:
    counts = Counter(trial.status for trial in trials)
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    goal = campaign.objective
    text = (
        f"{len(trials)} of {campaign.max_trials} trials: {told}. Backbone "
        f"{campaign.trial.architecture.backbone}, precision {campaign.trial.fit.precision}. Score, "
        f"smaller is better: {goal.rule} of validation errors in units of "
        f"{goal.energy_unit_meV_per_atom:g} meV/atom and "
        f"{goal.forces_unit_meV_per_angstrom:g} meV/Å."
    )
    best = best_trials(trials)
    if best:
        values = ", ".join(f"{key} = {_short(value)}" for key, value in best[0].values.items())
        text += f" Best: trial {best[0].number} with {best[0].score:.4f}: {values}."
    return f"<p>{html.escape(text)}</p>"


def _picture(
    draw: Callable[[Figure, CampaignConfig, Sequence[Trial]], None],
    campaign: CampaignConfig,
    trials: Sequence[Trial],
) -> str:
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    draw(figure, campaign, trials)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img alt="" src="data:image/png;base64,{text}">'


def _draw_progress(figure: Figure, campaign: CampaignConfig, trials: Sequence[Trial]) -> None:
    """Score of each trial, and the best so far of those that finished."""
    axes = figure.subplots()
    for status, marker in (("finished", "o"), ("stopped", "x")):
        chosen = [trial for trial in trials if trial.status == status and trial.has_score]
        axes.plot(
            [trial.number for trial in chosen], scores_of(chosen), marker, label=status
        )  # fmt: skip
    finished = [trial for trial in trials if trial.status == "finished" and trial.has_score]
    best = list(accumulate(scores_of(finished), min))
    axes.step([trial.number for trial in finished], best, where="post", label="best so far")
    for trial in trials:
        if not trial.has_score:
            axes.axvline(trial.number, color="tab:red", alpha=0.3)
    axes.set(xlabel="trial (red: failed)", ylabel="score")
    axes.legend()


def _draw_parallel(figure: Figure, campaign: CampaignConfig, trials: Sequence[Trial]) -> None:
    """A line per scored trial through its values, colored by its score."""
    axes = figure.subplots()
    scored = [trial for trial in trials if trial.score is not None and trial.has_score]
    scores = np.array(scores_of(scored))
    order = scores.argsort().argsort() / max(1, len(scored) - 1)
    colors = colormaps["viridis"]
    keys = list(campaign.space)
    for rank, trial in zip(order, scored, strict=True):
        heights = [place(trial.values[key], campaign.space[key]) for key in keys]
        axes.plot(range(len(keys)), heights, color=colors(1.0 - rank), alpha=0.7)
    labels = [f"{_short_name(key, campaign)}\n{_range(campaign.space[key])}" for key in keys]
    axes.set_xticks(range(len(keys)), labels, fontsize="small")
    axes.set_yticks([])
    axes.set(title="bright: good")


def _draw_importance(figure: Figure, campaign: CampaignConfig, trials: Sequence[Trial]) -> None:
    """How much worse the score is known without each parameter."""
    found = importance(campaign, trials)
    axes = figure.subplots()
    keys = sorted(found, key=lambda key: found[key])
    axes.barh([_short_name(key, campaign) for key in keys], [found[key] for key in keys])
    axes.set(xlabel="permutation importance: loss of R² of a forest of trees on the trials")


def _draw_pareto(figure: Figure, campaign: CampaignConfig, trials: Sequence[Trial]) -> None:
    """Score against the cost of energy and forces."""
    axes = figure.subplots()
    measured = [trial for trial in best_trials(trials) if trial.cost is not None]
    axes.plot(costs_of(measured), scores_of(measured), "o")
    front = [trial for trial in pareto_front(trials) if trial.cost is not None]
    axes.step(costs_of(front), scores_of(front), where="post", label="front")
    for trial, cost, score in zip(front, costs_of(front), scores_of(front), strict=True):
        axes.annotate(str(trial.number), (cost, score))
    axes.set(xlabel="µs per atom, energy and forces", ylabel="score", xscale="log")
    axes.legend()


PICTURES = (
    ("Progress", _draw_progress, 1),
    ("Parameters", _draw_parallel, 2),
    ("Importance of parameters", _draw_importance, MIN_FOR_IMPORTANCE),
    ("Accuracy against cost", _draw_pareto, 1),
)
"""Title, picture, scored trials that it needs."""


def place(value: Value, parameter: Parameter) -> float:
    """Where a value stands between the ends of its parameter, 0 to 1."""
    if parameter.kind == "choice":
        return parameter.values.index(value) / (len(parameter.values) - 1)
    ends = np.array([parameter.low, value, parameter.high], dtype=float)
    low, middle, high = np.log(ends) if parameter.log else ends
    return float((middle - low) / (high - low))


def _table(campaign: CampaignConfig, trials: Sequence[Trial]) -> str:
    head = [
        "trial",
        "status",
        "score",
        "µs/atom",
        "s",
        *(_short_name(key, campaign) for key in campaign.space),
    ]
    rows = [f"<tr>{''.join(f'<th>{html.escape(name)}</th>' for name in head)}</tr>"]
    for trial in sorted(trials, key=lambda t: (not t.has_score, t.score or 0.0, t.number)):
        cells = [
            str(trial.number),
            trial.status if trial.has_score else f"{trial.status}: {trial.result.get('reason')}",
            "" if trial.score is None else f"{trial.score:.4f}",
            "" if trial.cost is None else f"{trial.cost:.1f}",
            f"{trial.seconds:.0f}",
            *(_short(trial.values[key]) for key in campaign.space),
        ]
        failed = "" if trial.has_score else ' class="failed"'
        rows.append(f"<tr{failed}>{''.join(f'<td>{html.escape(c)}</td>' for c in cells)}</tr>")
    return f"<table>{''.join(rows)}</table>"


def _short(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _short_name(key: str, campaign: CampaignConfig) -> str:
    """As few of the last words of a key as tell it from the others; a number never stands alone."""
    words = key.split(".")
    for count in range(1, len(words)):
        name = ".".join(words[-count:])
        alike = [other for other in campaign.space if f".{other}".endswith(f".{name}")]
        if len(alike) == 1 and not name[0].isdigit():
            return name
    return key


def _range(parameter: Parameter) -> str:
    if parameter.kind == "choice":
        return " ".join(str(value) for value in parameter.values)
    return f"{parameter.low:g}..{parameter.high:g}"
