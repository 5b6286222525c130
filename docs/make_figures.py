"""Draw the README's picture from the card of the shipped model: what it has seen, and its errors.

    python docs/make_figures.py [--model painn-lead] [--out docs/coverage.png]

Left, a periodic table: how many heads were trained on each element. Right, the held-out force
error of every head (its energy error where it has no forces) beside the two baselines of the card.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from ase.data import atomic_numbers
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from atomfm_calc.periodic_table import place_of
from atomfm_calc.registry.card import ModelCard, SplitErrors, load_card
from atomfm_calc.registry.catalog import find_model

COLORS = colormaps["YlGnBu"]
PREDICTORS = {"references_only": "#cccccc", "alone": "#7fb3d5", "joint": "#0b3c5d"}
"""Fields of `Validation` and their colors."""
LABELS = {"references_only": "references only", "alone": "trained alone", "joint": "this model"}


def draw_periodic_table(axes: Axes, card: ModelCard) -> None:
    """Color and number of every element: heads that were trained on it."""
    counts = Counter(symbol for info in card.heads.values() for symbol in info.elements)
    most = max(counts.values())
    for symbol, number in atomic_numbers.items():
        if not 1 <= number <= 118:
            continue
        row, column = place_of(number)
        share = counts[symbol] / most
        color = COLORS(0.1 + 0.8 * share) if counts[symbol] else "#f2f2f2"
        ink = "white" if share > 0.55 else "#222222" if counts[symbol] else "#b0b0b0"
        axes.add_patch(Rectangle((column - 1, row), 0.94, 0.94, facecolor=color))
        axes.text(column - 0.53, row + 0.4, symbol, ha="center", va="center", color=ink)
        if counts[symbol]:
            text = str(counts[symbol])
            axes.text(column - 0.53, row + 0.76, text, ha="center", va="center", color=ink, size=6)
    axes.set(xlim=(-0.1, 18.1), ylim=(11.1, 0.8), aspect="equal")
    axes.set_title(f"heads trained on each element ({len(counts)} elements)")
    axes.set_axis_off()


def draw_errors(axes: Axes, card: ModelCard) -> None:
    """Force errors (energy errors where there are no forces) per head."""
    validations = {name: info.validation for name, info in card.heads.items() if info.validation}
    labels = []
    for row, (name, validation) in enumerate(validations.items()):
        by_force = validation.joint.forces_mae_meV_per_angstrom is not None
        labels.append(name if by_force else f"{name} (energy)")
        axes.axhline(row, color="#eeeeee", zorder=0)
        for predictor, color in PREDICTORS.items():
            errors: SplitErrors | None = getattr(validation, predictor)
            if errors is None:
                continue
            forces, energy = errors.forces_mae_meV_per_angstrom, errors.energy_mae_meV_per_atom
            axes.plot(forces if by_force else energy, row, "o", color=color)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="mean absolute error, meV/Å (energy: meV/atom)")
    axes.set_title("held-out structures")
    axes.spines[["top", "right"]].set_visible(False)
    for predictor, color in PREDICTORS.items():
        axes.plot([], [], "o", color=color, label=LABELS[predictor])
    axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)


def draw(card: ModelCard, path: Path) -> None:
    """Write the picture."""
    figure = Figure(figsize=(13, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2.2, 1))
    draw_periodic_table(left, card)
    draw_errors(right, card)
    figure.suptitle(f"{card.label}: {card.title}")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Draw the card of a model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="painn-lead", help="shipped name or model folder")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "coverage.png")
    arguments = parser.parse_args()
    draw(load_card(find_model(arguments.model)), arguments.out)


if __name__ == "__main__":
    main()
