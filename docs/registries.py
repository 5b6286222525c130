"""Model cards and the tables of datasets, recipes and workflows, from the registries."""

from __future__ import annotations

import typer

from atomfm_calc.cli import app
from atomfm_calc.registry.card import HeadInfo, ModelCard, PropertyInfo, SplitErrors, Validation
from atomfm_calc.registry.catalog import list_models
from atomfm_calc.workflows import WORKFLOWS
from docs.readme_table import heads_table
from docs.tables import cell, facts, table
from downstream.catalog import FoundRecipe, find_recipe
from downstream.recipe import Recipe
from downstream.recipes import RECIPES
from training.datasets import DATASETS
from training.datasets.adapter import DatasetInfo
from training.datasets.commands import dataset_facts

PREDICTORS = {"joint": "this model", "alone": "trained alone", "references_only": "references only"}
"""Fields of `Validation`."""


def models() -> str:
    """The card of every shipped model, with all of its heads and properties."""
    return "\n\n".join(_model(label, card) for label, card in list_models().items())


def _model(label: str, card: ModelCard) -> str:
    parts = [f"## {label}", f"{card.title}. {card.description}"]
    parts.append(
        facts(
            [
                ("licence", card.licence),
                ("citation", card.citation),
                ("default head", f"{card.default_head}. {card.default_head_reason}"),
                ("heads can be mixed", "yes" if card.gate_sha256 else "no"),
                ("SHA-256 of the weights", card.weights_sha256),
                *((f"measured: {what}", text) for what, text in card.measured.items()),
            ]
        )
    )
    if card.heads:
        parts += [heads_table(card)]
    parts += [_head(name, info) for name, info in card.heads.items()]
    parts += [_property(name, info) for name, info in card.properties.items()]
    if card.commands:
        parts += ["### How it was made", "```sh\n" + "\n".join(card.commands) + "\n```"]
    return "\n\n".join(parts)


def _head(name: str, info: HeadInfo) -> str:
    charges = ", ".join(f"{charge:+d}" if charge else "0" for charge in sorted(info.charges))
    stated = (
        "given in training" if info.uses_charge else "not given in training: others are refused"
    )
    rows = [
        ("theory", info.theory),
        ("code", info.code),
        ("data", info.data),
        ("source", info.source),
        ("licence", info.licence),
        ("structures", _counts(info.n_structures)),
        ("labels", _counts(info.labels)),
        ("periodicity", ", ".join(info.periodicity)),
        ("charges, e", f"{charges} ({stated})"),
        ("multiplicities", ", ".join(str(one) for one in info.multiplicities)),
        ("energy zero", info.energy_zero),
        ("good for", "; ".join(info.good_for)),
        ("not for", "; ".join(info.not_for)),
        ("structures per element", _counts(info.elements)),
    ]
    parts = [f"### {name}", f"{info.title}.", facts(rows)]
    return "\n\n".join(parts + ([_errors(info.validation)] if info.validation else []))


def _errors(validation: Validation) -> str:
    rows = []
    for field, label in PREDICTORS.items():
        errors: SplitErrors | None = getattr(validation, field)
        if errors is not None:
            numbers = (
                errors.energy_mae_meV_per_atom,
                errors.forces_mae_meV_per_angstrom,
                errors.stress_mae_GPa,
            )
            rows.append((label, *("–" if value is None else f"{value:.3g}" for value in numbers)))
    headings = ("mean absolute error", "energy, meV/atom", "forces, meV/Å", "stress, GPa")
    held_out = f"Held out: {validation.n_structures} structures ({validation.split})."
    return f"{held_out}\n\n{table(headings, rows)}"


def _property(name: str, info: PropertyInfo) -> str:
    errors = "; ".join(f"{metric} {value:.4g}" for metric, value in info.test_errors.items())
    rows = [
        ("unit or classes", ", ".join(info.classes) or info.unit),
        ("level", info.level),
        ("theory", info.theory),
        ("code", info.code),
        ("data", info.data),
        ("source", info.source),
        ("licence", info.licence),
        ("structures", _counts(info.n_structures)),
        ("periodicity", ", ".join(info.periodicity)),
        ("held out", info.split),
        ("held-out errors", errors),
        ("structures per element", _counts(info.elements)),
    ]
    return f"### {name}\n\n{info.title}.\n\n{facts(rows)}"


def _counts(numbers: dict[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in numbers.items())


def datasets() -> str:
    """A table of all datasets, then all that is known about each."""
    infos = {name: dataset.info for name, dataset in DATASETS.items()}
    rows = [_dataset_row(name, info) for name, info in infos.items()]
    headings = ("name and head", "theory", "size", "licence", "weights may be shipped")
    sections = [
        f"### {name}\n\n{facts([*dataset_facts(info), ('how to get it', info.obtain)])}"
        for name, info in infos.items()
    ]
    return "\n\n".join([table(headings, rows), "## One by one", *sections])


def _dataset_row(name: str, info: DatasetInfo) -> tuple[str, ...]:
    shipped = "yes" if info.redistributable else "no"
    return (f"[{name}](#{name})", cell(info.theory), cell(info.size), cell(info.licence), shipped)


def recipes() -> str:
    """A table of all recipes, with links to what each says of itself."""
    rows = [_recipe_row(name, find_recipe(name)) for name in RECIPES]
    headings = ("recipe", "what", "learns", "structures", "compared by", "licence", "stand-in")
    return table(headings, rows)


def _recipe_row(name: str, found: FoundRecipe) -> tuple[str, ...]:
    recipe, source = found.recipe, found.recipe.source
    page = f"../downstream/recipes/{RECIPES[name].folder}/README.md"
    return (
        f"[{name}]({page})",
        cell(f"{recipe.title}; {source.theory}"),
        cell(_learns(recipe)),
        f"{source.n_structures:,}" if source.n_structures else "–",
        cell(source.metric),
        cell(source.licence),
        cell(found.stand_in or "–"),
    )


def _learns(recipe: Recipe) -> str:
    if recipe.potential is not None:
        return ", ".join(recipe.potential.labels)
    return ", ".join(
        name if target.unit == "1" else f"{name}, {target.unit}"
        for name, target in recipe.targets.items()
    )


def workflows() -> str:
    """A table of all workflows: the command, what it does, the function, what can be set."""
    run = typer.main.get_command(app).commands["run"].commands
    rows = []
    for name, function in WORKFLOWS.items():
        python = f"{function.__module__}.{function.__name__}"
        if function.__name__.startswith("_"):
            python = f'WORKFLOWS["{name}"]'
        rows.append((f"`atomfm run {name}`", cell(run[name].help or ""), f"`{python}`"))
    others = [name for name in run if name not in WORKFLOWS]
    rows += [(f"`atomfm run {name}`", cell(run[name].help or ""), "–") for name in others]
    return table(("command", "what", "function"), rows)
