"""Recipes by name or folder, and the readers that belong to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from atomfm_calc.config import load_config
from atomfm_calc.errors import ConfigError, lookup
from atomfm_calc.sample import Sample
from downstream import recipes
from downstream.own_files import read_own_samples
from downstream.recipe import RECIPE_FILE, Recipe
from downstream.splits import Fold

Read = Callable[[Path], Iterator[Sample]]
ReadFolds = Callable[[Path, Sequence[Sample]], tuple[Fold, ...]]


@dataclass(frozen=True, kw_only=True)
class FoundRecipe:
    """A recipe and how its data is read."""

    recipe: Recipe
    """With all overrides."""
    folder: Path
    """Where it stands."""
    read: Read
    """Folder of the public files -> samples."""
    own_path: Path | None = None
    """A user's file or folder, read unless another is given; None: public files."""
    read_stand_in: Callable[[], Iterator[Sample]] | None = None
    """Samples without any public file; None: there are none."""
    stand_in: str = ""
    """How tables name them."""
    read_folds: ReadFolds | None = None
    """Published folds; None: the source has none."""


def find_recipe(name: str, overrides: Sequence[str] = ()) -> FoundRecipe:
    """A recipe by its name in `RECIPES`, or a folder with a `recipe.yaml` that has a section `own`.

    Raises:
        UnknownNameError: no such name; lists what there is.
        ConfigError: the YAML file is wrong, or a folder's recipe has no section `own`.
    """
    folder = Path(name)
    if (folder / RECIPE_FILE).is_file():
        return _own(folder, load_config(Recipe, folder / RECIPE_FILE, overrides))
    entry = lookup(recipes.RECIPES, name, "recipe", "downstream (or give a recipe's folder)")
    folder = Path(recipes.__file__).parent / entry.folder
    recipe = load_config(Recipe, folder / RECIPE_FILE, overrides)
    if recipe.own is not None:
        return _own(folder, recipe)
    module = import_module(f"{recipes.__name__}.{entry.folder}.data")
    return FoundRecipe(
        recipe=recipe,
        folder=folder,
        read=module.read,
        read_stand_in=module.read_stand_in,
        stand_in=module.STAND_IN,
        read_folds=getattr(module, "read_folds", None),
    )


def _own(folder: Path, recipe: Recipe) -> FoundRecipe:
    own = recipe.own
    if own is None:
        raise ConfigError(
            f"{folder / RECIPE_FILE} has no section `own`; a recipe with a reader of its own "
            "(data.py) needs an entry in downstream/recipes/__init__.py"
        )

    return FoundRecipe(
        recipe=recipe,
        folder=folder,
        read=lambda path: read_own_samples(replace(own, path=path), recipe),
        own_path=folder / own.path,  # a relative path is meant from the recipe
    )
