"""Pictures and tables of a model's page: elements, errors, parity, learning curves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from atomfm_calc.periodic_table import ElementCell, element_grid

if TYPE_CHECKING:
    from atomfm_calc.registry.card import ModelCard, Validation
    from atomfm_calc.registry.parity import Pairs, Parity

SIZE, MARGIN = 240.0, 34.0
"""Of a plot and of the space around its axes, in the SVG's own units."""
STYLE = """
:root{color-scheme:light dark;--ink:#1c2330;--soft:#5a6375;--ground:#fff;--cell:#f1f3f6;
--unseen:#8a92a0;--line:#d8dde5;--shade-color:#5b9df0;--mark:#1f66c1}
@media (prefers-color-scheme:dark){:root{--ink:#e9ebf0;--soft:#a5adbc;--ground:#14171c;
--cell:#20252d;--unseen:#79818f;--line:#363d49;--shade-color:#2b6cc4;--mark:#7fb4ff}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;margin:0;color:var(--ink);background:var(--ground)}
main{max-width:72em;margin:0 auto;padding:1em}
h1{margin:.2em 0 0}h2{margin:1.6em 0 .4em;border-bottom:1px solid var(--line)}
.title{font-size:1.15em;color:var(--soft);margin:.1em 0 .8em}
p,dd,summary{overflow-wrap:anywhere}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.92em}
td:not(.number){min-width:6em}
td:first-child{white-space:nowrap}th.number{white-space:normal}
td,th{padding:.3em .9em .3em 0;border-bottom:1px solid var(--line);text-align:left;
vertical-align:top}th{color:var(--soft);font-weight:600;vertical-align:bottom}
.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
dl{display:grid;grid-template-columns:minmax(6em,14em) 1fr;gap:.3em 1em;margin:.6em 0}
dt{color:var(--soft)}dd{margin:0}
details{border-bottom:1px solid var(--line);padding:.3em 0}summary{cursor:pointer}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--cell);padding:.8em;
font-size:.85em}
.choice{position:absolute;opacity:0}
.heads{display:flex;flex-wrap:wrap;gap:.4em;margin:.4em 0 .8em}
.heads label{border:1px solid var(--line);border-radius:1em;padding:.1em .8em;cursor:pointer}
.table{display:none}
.plots{display:flex;flex-wrap:wrap;gap:.8em}
figure{margin:0;width:15em;max-width:100%}figcaption{text-align:center;font-size:.9em}
svg{width:100%;height:auto}svg text{fill:var(--soft);font-size:11px}
.axes{fill:none;stroke:var(--line)}.points{fill:none;stroke:var(--mark);stroke-width:3;
stroke-linecap:round;stroke-opacity:.6}.curve{fill:none;stroke:var(--mark);stroke-width:1.6}
@media (max-width:40em){dl{grid-template-columns:1fr}dd{margin-bottom:.5em}
.table small{display:none}.elements{font-size:10px;gap:1px}.elements div{padding:.3em 0}
figure{width:calc(50% - .4em)}}
"""


def coverage(card: ModelCard) -> str:
    """A periodic table for each head, of which one is chosen and shown, without a script."""
    known = {name: info.elements for name, info in card.heads.items() if info.elements_known}
    known |= {name: info.elements for name, info in card.properties.items()}
    if not known:
        return ""
    heads_of = Counter(symbol for elements in known.values() for symbol in elements)
    tables = [("any head", element_grid(_cells(heads_of, "heads")))]
    tables += [
        (name, element_grid(_cells(elements, "structures"))) for name, elements in known.items()
    ]
    inputs, labels, grids, rules = [], [], [], []
    for place, (name, grid) in enumerate(tables):
        checked = ' checked="checked"' if place == 0 else ""
        inputs.append(f'<input class="choice" type="radio" name="head" id="c{place}"{checked}/>')
        labels.append(f'<label for="c{place}">{escape(name)}</label>')
        grids.append(f'<div class="table" id="t{place}">{grid}</div>')
        rules.append(
            f"#c{place}:checked~#t{place}{{display:block}}"
            f"#c{place}:checked~.heads label[for=c{place}]{{background:var(--shade-color)}}"
            f"#c{place}:focus-visible~.heads label[for=c{place}]{{outline:2px solid var(--mark)}}"
        )
    return (
        "<p>Choose a head. Numbers: training structures that contain the element (of “any head”: "
        "heads that saw it); the stronger the color, the more.</p>"
        f"<style>{''.join(rules)}</style><div>{''.join(inputs)}"
        f'<div class="heads">{"".join(labels)}</div>{"".join(grids)}</div>'
    )


def _cells(counts: Mapping[str, int], what: str) -> dict[str, ElementCell]:
    largest = max(counts.values(), default=1)
    return {
        symbol: ElementCell(
            (f"{count:,}" if count < 100_000 else f"{count / 1e6:.1f}M",),
            0.15 + 0.85 * math.log1p(count) / math.log1p(largest),
            f"{symbol}: {count:,} {what}",
        )
        for symbol, count in counts.items()
    }


def error_cells(validation: Validation) -> list[str]:
    """Three errors of energy, of forces and of stress: this model's and the two baselines'."""
    predictors = (validation.joint, validation.alone, validation.references_only)
    names = ("energy_mae_meV_per_atom", "forces_mae_meV_per_angstrom", "stress_mae_GPa")
    values = [getattr(errors, name, None) for name in names for errors in predictors]
    return ["–" if value is None else f"{value:.{_places(value)}f}" for value in values]


def _places(value: float) -> int:
    """After the point, for three digits."""
    return 0 if value <= 0.0 else max(0, 2 - math.floor(math.log10(value)))


def parity_plots(parity: Parity) -> str:
    """Label against prediction, of energies and forces of each head."""
    figures = []
    for name, head in parity.heads.items():
        for what, pairs, unit in (
            ("energy", head.energies, "eV/atom"),
            ("force", head.forces, "eV/Å"),
        ):
            if pairs:
                caption = f"{name}: {what} ({unit})"
                figures.append(_figure(_scatter(pairs), caption))
    return f'<div class="plots">{"".join(figures)}</div>'


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def _scatter(pairs: Pairs) -> str:
    values = [value for pair in pairs for value in pair]
    low, high = min(values), max(values)
    scale = (SIZE - MARGIN) / max(high - low, 1e-9)

    def spot(label: float, predicted: float) -> str:
        return (
            f"{MARGIN + (label - low) * scale:.1f} {SIZE - MARGIN - (predicted - low) * scale:.1f}"
        )

    points = "".join(f"M{spot(*pair)}h0" for pair in pairs)
    line = f'<path class="axes" d="M{spot(low, low)}L{spot(high, high)}"/>'
    content = f'{line}<path class="points" d="{points}"/>'
    return _svg(content, ("label", "prediction"), (low, high), (low, high))


def learning_curves(parity: Parity) -> str:
    """Validation error of forces, or else of energies, against steps."""
    figures = []
    for name, curve in parity.learning_curves.items():
        forces = [(p.step, p.forces_mae_meV_per_angstrom) for p in curve]
        energies = [(p.step, p.energy_mae_meV_per_atom) for p in curve]
        for what, unit, line in (("forces", "meV/Å", forces), ("energy", "meV/atom", energies)):
            points = [(step, value) for step, value in line if value is not None and value > 0.0]
            if len(points) > 1:
                figures.append(_figure(_curve(points), f"{name}: {what} ({unit}, log)"))
                break
    return f'<div class="plots">{"".join(figures)}</div>' if figures else ""


def _curve(points: Sequence[tuple[int, float]]) -> str:
    steps = [float(step) for step, _ in points]
    logs = [math.log(value) for _, value in points]
    across = (SIZE - MARGIN) / max(steps[-1] - steps[0], 1e-9)
    up = (SIZE - MARGIN) / max(max(logs) - min(logs), 1e-9)
    places = " ".join(
        f"{MARGIN + (step - steps[0]) * across:.1f},{SIZE - MARGIN - (log - min(logs)) * up:.1f}"
        for step, log in zip(steps, logs, strict=True)
    )
    heights = (math.exp(min(logs)), math.exp(max(logs)))
    line = f'<polyline class="curve" points="{places}"/>'
    return _svg(line, ("step", "error"), (steps[0], steps[-1]), heights)


def _svg(
    content: str, names: tuple[str, str], across: tuple[float, float], up: tuple[float, float]
) -> str:
    """Content in a frame with the ends and the names of both axes."""
    base, middle = SIZE - MARGIN, (SIZE + MARGIN) / 2.0
    left, right, bottom, top = (f"{value:.4g}" for value in (*across, *up))
    texts = (
        f'<text x="{MARGIN}" y="{base + 13}">{left}</text>'
        f'<text x="{SIZE}" y="{base + 13}" text-anchor="end">{right}</text>'
        f'<text x="{middle}" y="{base + 26}" text-anchor="middle">{names[0]}</text>'
        f'<text transform="translate({MARGIN - 5},{base}) rotate(-90)">{bottom}</text>'
        f'<text transform="translate({MARGIN - 5},0) rotate(-90)" text-anchor="end">{top}</text>'
        f'<text transform="translate({MARGIN - 18},{base / 2}) rotate(-90)" '
        f'text-anchor="middle">{names[1]}</text>'
    )
    frame = f'<rect class="axes" x="{MARGIN}" y="0" width="{SIZE - MARGIN}" height="{base}"/>'
    return f'<svg viewBox="-2 -4 {SIZE + 6} {SIZE + 2}" role="img">{frame}{content}{texts}</svg>'


def element_errors(parity: Parity) -> str:
    """Force errors by element, of each head that has some."""
    parts = []
    for name, head in parity.heads.items():
        errors = head.forces_mae_by_element
        if not errors:
            continue
        largest = max(errors.values()) or 1.0
        cells = {
            symbol: ElementCell(
                (f"{error:.3g}",), 0.1 + 0.9 * error / largest, f"{symbol}: {error:.1f} meV/Å"
            )
            for symbol, error in errors.items()
        }
        parts.append(
            f"<details><summary>{escape(name)}: force error by element (meV/Å)</summary>"
            f"{element_grid(cells)}</details>"
        )
    return "".join(parts)
