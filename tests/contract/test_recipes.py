"""What every recipe keeps: names, folds, damage and stand-ins, on miniatures of public files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample
from downstream.catalog import FoundRecipe, find_recipe
from downstream.labels import check_samples
from downstream.recipe import RECIPE_FILE
from downstream.recipes import RECIPES
from downstream.splits import check_folds
from downstream.stand_in import FOLDER, STAND_INS, stand_in_path
from tests.made.recipe_files import RECIPE_FILES

OWN = "own-extxyz"
"""The template for a user's files has no public ones."""
MAX_STAND_INS_BYTES = 300_000


@pytest.fixture(params=RECIPE_FILES)
def found(request: pytest.FixtureRequest) -> FoundRecipe:
    return find_recipe(str(request.param))


@pytest.fixture
def main_file(found: FoundRecipe, tmp_path: Path) -> Path:
    return RECIPE_FILES[found.recipe.name](tmp_path / "public")


@pytest.fixture
def root(main_file: Path, tmp_path: Path) -> Path:
    assert main_file.is_file()
    return tmp_path / "public"


def _texts(samples: list[Sample]) -> list[str]:
    return [
        repr((one.source, one.group, {k: v.tolist() for k, v in sorted(one.targets.items())}))
        for one in samples
    ]


def test_every_recipe_has_a_miniature_of_its_files() -> None:
    assert set(RECIPES) - {OWN} == set(RECIPE_FILES)


@pytest.mark.parametrize("name", RECIPES)
def test_a_folder_holds_the_recipe_its_reader_and_its_page(name: str) -> None:
    found = find_recipe(name)
    assert found.recipe.name == name
    assert found.folder.name == name.replace("-", "_")
    files = {path.name for path in found.folder.iterdir() if path.name != "__pycache__"}
    assert files == {RECIPE_FILE, "README.md", *(() if name == OWN else ("data.py",))}
    page = (found.folder / "README.md").read_text(encoding="utf-8")
    assert f"python -m downstream run {'my-recipe' if name == OWN else name}" in page


def test_the_files_that_the_recipe_names_are_those_that_are_read(
    found: FoundRecipe, root: Path
) -> None:
    for file in found.recipe.source.files:
        assert list(root.glob(file.name)), file.name


def test_samples_of_the_public_files_can_be_learned_from(found: FoundRecipe, root: Path) -> None:
    samples = check_samples(found.read(root), found.recipe)
    assert _texts(samples) == _texts(list(found.read(root)))


def test_published_folds_are_folds_of_these_samples(found: FoundRecipe, root: Path) -> None:
    assert (found.recipe.split.by == "published") == (found.read_folds is not None)
    if found.read_folds is None:
        pytest.skip("the source has no folds")
    samples = list(found.read(root))
    folds = found.read_folds(root, samples)
    check_folds(folds, samples)
    for fold in folds:
        assert fold.train
        assert fold.test


def test_the_folds_of_matbench_test_every_structure_once(found: FoundRecipe, root: Path) -> None:
    if found.read_folds is None or not found.recipe.name.startswith("matbench"):
        pytest.skip("no folds of Matbench")
    samples = list(found.read(root))
    tested = [name for fold in found.read_folds(root, samples) for name in fold.test]
    assert sorted(tested) == sorted(sample.source for sample in samples)


def test_a_file_that_is_cut_short_is_named(found: FoundRecipe, root: Path, main_file: Path) -> None:
    main_file.write_bytes(main_file.read_bytes()[: main_file.stat().st_size // 2 + 3])
    with pytest.raises(DataError, match=main_file.name):
        list(found.read(root))


def test_a_file_of_something_else_is_named(found: FoundRecipe, root: Path, main_file: Path) -> None:
    main_file.write_bytes(b"<html>Access denied</html>\n" * 40)
    with pytest.raises(DataError, match=main_file.name):
        list(found.read(root))


def test_a_folder_without_the_files_is_an_error(found: FoundRecipe, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=str(tmp_path)):
        list(found.read(tmp_path))


def test_a_stand_in_is_named_as_one_and_can_be_learned_from(found: FoundRecipe) -> None:
    assert found.read_stand_in is not None
    assert found.stand_in.endswith("(stand-in)")
    samples = check_samples(found.read_stand_in(), found.recipe)
    assert len(samples) >= 15
    for name in found.recipe.targets:
        assert all(name in sample.targets for sample in samples)
        assert np.std([sample.targets[name] for sample in samples]) > 0.0


def test_stand_ins_are_small_and_all_of_them_are_used() -> None:
    files = {path.name for path in FOLDER.glob("*.extxyz.gz")}
    assert files == {stand_in_path(name).name for name in STAND_INS}
    assert sum(stand_in_path(name).stat().st_size for name in STAND_INS) <= MAX_STAND_INS_BYTES
