"""`atomfm models show NAME --html FILE`: all that is known of a model, on one page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from atomfm_calc.cli.model_page_parts import (
    STYLE,
    coverage,
    element_errors,
    error_cells,
    learning_curves,
    parity_plots,
)
from atomfm_calc.config import config_to_dict
from atomfm_calc.periodic_table import ELEMENTS_STYLE
from atomfm_calc.web_page import html_table, web_page

if TYPE_CHECKING:
    from atomfm_calc.calculators.precision_card import PrecisionCard
    from atomfm_calc.registry.card import HeadInfo, ModelCard, PropertyInfo
    from atomfm_calc.registry.parity import Parity

NOT_AMONG_DETAILS = ("title", "elements", "validation", "good_for", "not_for")
"""Fields of a head that the page shows in other places."""


def model_page(
    card: ModelCard, precision: PrecisionCard | None = None, parity: Parity | None = None
) -> str:
    """The page as HTML that needs nothing else.

    Args:
        card: of the model.
        precision: from `measure_precision`; None: no such section.
        parity: labels and predictions; None: no plots.
    """
    sections = [
        ("Heads", _heads(card)),
        ("Properties", _properties(card.properties)),
        ("Elements", coverage(card)),
        ("Errors on held-out structures", _errors(card)),
        ("Labels and predictions", "" if parity is None else _parity(parity)),
        ("Learning curves", "" if parity is None else learning_curves(parity)),
        ("Precision and kernels", "" if precision is None else _precision(precision)),
        ("What it is good for", _uses(card)),
        ("Measured", _terms(card.measured)),
        ("Each head", "".join(_details(name, info) for name, info in card.heads.items())),
        ("Licence, citation, weights", _provenance(card)),
    ]
    body = "".join(
        f"<section><h2>{title}</h2>{content}</section>" for title, content in sections if content
    )
    return web_page(card.label, f"<main>{_top(card)}{body}</main>", ELEMENTS_STYLE + STYLE)


def _top(card: ModelCard) -> str:
    default = ""
    if card.heads:
        default = (
            f"<p>Default head: <b>{escape(card.default_head)}</b>. "
            f"{escape(card.default_head_reason)}</p>"
        )
    return (
        f'<header><h1>{escape(card.label)}</h1><p class="title">{escape(card.title)}</p>'
        f"<p>{escape(card.description)}</p>{default}</header>"
    )


def _heads(card: ModelCard) -> str:
    if not card.heads:
        return ""
    rows = [
        (
            name,
            info.theory,
            info.code,
            str(len(info.elements)) if info.elements_known else "not stated",
            f"{info.n_structures['train']:,}" if "train" in info.n_structures else "–",
            ", ".join(info.periodicity),
            _charges(info),
            info.licence,
            info.source,
        )
        for name, info in card.heads.items()
    ]
    header = (
        *("head", "theory", "code", "elements", "structures", "periodicity", "charge"),
        *("licence of the data", "source"),
    )
    return html_table(header, rows)


def _charges(info: HeadInfo) -> str:
    if info.charges == (0,):
        return "neutral"
    low, high = min(info.charges), max(info.charges)
    if len(info.charges) > 3 and set(info.charges) == set(range(low, high + 1)):
        return f"{low:+d} to {high:+d}"
    return ", ".join(f"{charge:+d}" if charge else "0" for charge in info.charges)


def _properties(properties: Mapping[str, PropertyInfo]) -> str:
    if not properties:
        return ""
    rows = [
        (
            name,
            info.title,
            ", ".join(info.classes) or info.unit,
            info.theory,
            str(len(info.elements)),
            "; ".join(f"{metric} {value:.4g}" for metric, value in info.test_errors.items()),
            info.licence,
            info.source,
        )
        for name, info in properties.items()
    ]
    header = (
        *("property", "what", "unit or classes", "theory", "elements", "held-out errors"),
        *("licence of the data", "source"),
    )
    return html_table(header, rows)


def _errors(card: ModelCard) -> str:
    validations = {name: info.validation for name, info in card.heads.items() if info.validation}
    if not validations:
        return ""
    header = (
        *("head", "energy (meV/atom)", "alone", "references"),
        *("forces (meV/Å)", "alone", "references"),
        *("stress (GPa)", "alone", "references"),
        "structures",
    )
    rows = [(name, *error_cells(one), f"{one.n_structures:,}") for name, one in validations.items()]
    splits: dict[str, list[str]] = {}
    for name, one in validations.items():
        splits.setdefault(one.split, []).append(name)
    held_out = "; ".join(f"{', '.join(names)}: {split}" for split, names in splits.items())
    return (
        "<p>Mean absolute errors of this model; beside them <i>alone</i>: the same network trained "
        "with this head's data only; <i>references</i>: energies of the elements, no network.</p>"
        f"{html_table(header, rows)}<p>How structures were held out: {escape(held_out)}.</p>"
    )


def _parity(parity: Parity) -> str:
    numbers = ", ".join(f"{name} {head.n_structures:,}" for name, head in parity.heads.items())
    return (
        f"<p>Of the {escape(parity.split)} split; structures: {escape(numbers)}. A sample of them "
        "is drawn. Energies are per atom, above the head's references.</p>"
        f"{parity_plots(parity)}{element_errors(parity)}"
    )


def _precision(precision: PrecisionCard) -> str:
    rows = [
        (
            row.default_dtype,
            row.kernel,
            row.matmul_precision,
            f"{row.energy_deviation_meV_per_atom:.2g}",
            f"{row.forces_deviation_meV_per_angstrom:.2g}",
        )
        for row in precision.rows
    ]
    header = ("dtype", "kernel", "products", "energy off (meV/atom)", "forces off (meV/Å)")
    return (
        f"<p>{escape(', '.join(precision.structures))}, rattled, by {precision.n_heads} heads on "
        f"{precision.device}: the largest deviation from the first row, of energies per atom and "
        "of force components, measured when this page was made.</p>"
        f"{html_table(header, rows)}"
    )


def _uses(card: ModelCard) -> str:
    rows = [
        (name, "; ".join(info.good_for), "; ".join(info.not_for))
        for name, info in card.heads.items()
        if info.good_for or info.not_for
    ]
    return html_table(("head", "good for", "not for"), rows) if rows else ""


def _details(name: str, info: HeadInfo) -> str:
    content = dict(_flat(config_to_dict(info)))
    return (
        f"<details><summary><b>{escape(name)}</b> {escape(info.title)}</summary>"
        f"{_terms(content)}</details>"
    )


def _flat(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in content.items():
        if key in NOT_AMONG_DETAILS or value is None or value in ([], {}):
            continue
        if isinstance(value, dict):
            text = ", ".join(f"{inner.replace('_', ' ')} {one}" for inner, one in value.items())
        elif isinstance(value, list):
            text = ", ".join(str(item) for item in value)
        else:
            text = {True: "yes", False: "no"}.get(value, str(value))
        yield key.replace("_", " "), text


def _terms(terms: Mapping[str, str]) -> str:
    if not terms:
        return ""
    pairs = "".join(f"<dt>{escape(key)}</dt><dd>{escape(text)}</dd>" for key, text in terms.items())
    return f"<dl>{pairs}</dl>"


def _provenance(card: ModelCard) -> str:
    terms = {
        "licence": card.licence,
        "citation": card.citation,
        "SHA-256 of the weights": card.weights_sha256,
    }
    if card.gate_sha256 is not None:
        terms["SHA-256 of the mixture's gate"] = card.gate_sha256
    commands = "\n".join(card.commands)
    made = f"<p>Made by</p><pre>{escape(commands)}</pre>" if commands else ""
    return _terms(terms) + made
