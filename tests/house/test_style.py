"""Sizes, docstrings, names, prints, environment, unsafe loads, paths of one machine."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.house.sources import FOLDERS, PACKAGES, ROOT, calls_of, is_under, python_files, tree_of

MAX_FILE_LINES = 500
MAX_TEST_FILE_LINES = 250
MAX_FUNCTION_LINES = 80

PRINTERS = ("atomfm_calc/cli/", "tutorials/", "benchmarks/", "docs/")
ENVIRONMENT_READERS = (
    "atomfm_calc/registry/download.py",
    "training/parallel/process.py",
    "atomfm_calc/models/mace_blocks.py",  # puts back what the library writes there
)
PICKLERS = ("atomfm_calc/conformance/state.py",)
"""Loads what it wrote itself a moment ago, to see whether worker processes could."""
UNSAFE_MODULES = ("pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve")
DRAWERS = ("utils", "util", "misc", "helpers", "helper", "common")
MACHINE_PATH = re.compile(r"(?<![\w.~<>-])/(home|root|Users|tmp|opt|mnt|scratch|work)/\w")
"""An absolute path of somebody's machine; a path in an example is relative."""

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@pytest.mark.parametrize("path", python_files(*FOLDERS))
def test_a_file_is_short_enough_to_read(path: str) -> None:
    n_lines = len((ROOT / path).read_text(encoding="utf-8").splitlines())
    assert n_lines <= (MAX_TEST_FILE_LINES if path.startswith("tests/") else MAX_FILE_LINES)


@pytest.mark.parametrize("path", python_files(*FOLDERS))
def test_a_function_is_short_enough_to_read(path: str) -> None:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, FunctionNode):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < MAX_FUNCTION_LINES, f"{path}: {node.name}"


def _public(path: str) -> Iterator[tuple[str, ast.AST]]:
    """The module, its public classes and functions and their public methods."""
    yield "module", tree_of(path)
    for node in tree_of(path).body:
        if isinstance(node, ast.ClassDef | FunctionNode) and not node.name.startswith("_"):
            yield node.name, node
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(inner, FunctionNode) and not inner.name.startswith("_"):
                    yield f"{node.name}.{inner.name}", inner


@pytest.mark.parametrize("path", python_files(*PACKAGES))
def test_everything_public_says_what_it_is(path: str) -> None:
    for name, node in _public(path):
        assert isinstance(node, ast.Module | ast.ClassDef | FunctionNode)
        assert ast.get_docstring(node), f"{path}: {name} has no docstring"


@pytest.mark.parametrize("path", python_files(*FOLDERS))
def test_a_module_is_named_for_what_it_does(path: str) -> None:
    assert not set(DRAWERS) & set(path.removesuffix(".py").split("/"))


@pytest.mark.parametrize("path", python_files(*PACKAGES))
def test_only_the_command_line_prints(path: str) -> None:
    if not is_under(path, PRINTERS) and not path.endswith("/__main__.py"):
        assert not [f"{path}:{node.lineno}" for name, node in calls_of(path) if name == "print"]


@pytest.mark.parametrize("path", python_files(*PACKAGES))
def test_the_environment_is_read_in_two_files(path: str) -> None:
    if not is_under(path, ENVIRONMENT_READERS):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Attribute):
                reads = ast.unparse(node) in ("os.environ", "os.getenv", "os.putenv")
                assert not reads, f"{path}:{node.lineno}"


@pytest.mark.parametrize("path", python_files(*PACKAGES, "tutorials", "benchmarks", "docs"))
def test_nothing_is_loaded_that_can_run_code(path: str) -> None:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
            unsafe = set(UNSAFE_MODULES) - ({"pickle"} if path in PICKLERS else set())
            assert not names & unsafe, f"{path}:{node.lineno}"
    for name, call in calls_of(path):
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        place = f"{path}:{call.lineno}: {name}"
        assert name not in ("eval", "exec", "yaml.load", "yaml.unsafe_load"), place
        assert name != "torch.load" or given.get("weights_only") == "True", place
        assert given.get("allow_pickle", "False") == "False", place


def _text_files() -> list[str]:
    patterns = ("*.md", "*.toml", "*.cff", "Makefile", ".ci/run", "constraints.txt")
    texts = [path.relative_to(ROOT).as_posix() for name in patterns for path in ROOT.glob(name)]
    data = [
        path.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for pattern in ("*.yaml", "*.md", "*.json")
        for path in (ROOT / folder).rglob(pattern)
    ]
    return sorted({*texts, *data, *python_files(*FOLDERS)})


@pytest.mark.parametrize("path", _text_files())
def test_no_file_names_a_place_on_one_machine(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert not [match.group() for match in MACHINE_PATH.finditer(text)]
