"""The recipes by name. A recipe is a folder here: `recipe.yaml`, `data.py`, `README.md`.

`recipe.yaml` is a `downstream.recipe.Recipe`. `data.py` reads the public files and nothing else:

    STAND_IN: str
        What `read_stand_in` gives, in the words that every table repeats:
        "200 perovskites of cdvae perov5 (stand-in)". Never the name of the public data.
    def read(folder: Path) -> Iterator[Sample]
        The public files in `folder`, as published, in the file's order. Values are converted to the
        unit that the recipe declares; the keys of `Sample.targets` are the names of the recipe's
        targets (arrays of shape () for the structure level, [N] for the atom level; a class is the
        number of its place in `Target.classes`), for a potential "energy", "forces", "stress".
        A label that the source leaves out is left out. `Sample.source` is a name that stays the
        same whatever else is read ("mb-jdft2d-001"); no two are equal. `Sample.group` where
        structures belong together (a molecule's conformers). `DataError` names the record.
    def read_stand_in() -> Iterator[Sample]
        The same from what is at hand without network; used when the public files are absent.
    def read_folds(folder: Path, samples: Sequence[Sample]) -> tuple[Fold, ...]
        Only where `split.by` is "published" (`downstream.splits.Fold`): which sources are trained
        and tested on. Stand-ins, that no fold knows, are divided in as many parts at random.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RecipeEntry:
    """Where a recipe is."""

    folder: str
    """Folder beside this file; its module is `downstream.recipes.FOLDER.data`."""


RECIPES: dict[str, RecipeEntry] = {
    "matbench-jdft2d": RecipeEntry(folder="matbench_jdft2d"),
    "matbench-phonons": RecipeEntry(folder="matbench_phonons"),
    "matbench-dielectric": RecipeEntry(folder="matbench_dielectric"),
    "matbench-log-gvrh": RecipeEntry(folder="matbench_log_gvrh"),
    "matbench-log-kvrh": RecipeEntry(folder="matbench_log_kvrh"),
    "matbench-perovskites": RecipeEntry(folder="matbench_perovskites"),
    "matbench-mp-gap": RecipeEntry(folder="matbench_mp_gap"),
    "matbench-mp-e-form": RecipeEntry(folder="matbench_mp_e_form"),
    "matbench-mp-is-metal": RecipeEntry(folder="matbench_mp_is_metal"),
    "qm9": RecipeEntry(folder="qm9"),
    "rmd17": RecipeEntry(folder="rmd17"),
    "wiggle150": RecipeEntry(folder="wiggle150"),
    "ms25": RecipeEntry(folder="ms25"),
    "oqmd": RecipeEntry(folder="oqmd"),
    "abc3": RecipeEntry(folder="abc3"),
    "materials-project": RecipeEntry(folder="materials_project"),
    "slice-perovskites": RecipeEntry(folder="slice_perovskites"),
    "slice-log-kvrh": RecipeEntry(folder="slice_log_kvrh"),
    "slice-log-gvrh": RecipeEntry(folder="slice_log_gvrh"),
    "slice-metals": RecipeEntry(folder="slice_metals"),
    "slice-organics": RecipeEntry(folder="slice_organics"),
    "slice-qm9": RecipeEntry(folder="slice_qm9"),
    "own-extxyz": RecipeEntry(folder="own_extxyz"),
}
"""Name -> folder. A user's own data needs neither entry nor `data.py`: `run FOLDER` takes any
folder whose `recipe.yaml` has a section `own`."""
