"""The pages say what is there: their links, their commands, the tables made of the registries."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from atomfm_calc.errors import UnknownNameError
from atomfm_calc.registry.catalog import list_models
from atomfm_calc.workflows import WORKFLOWS
from docs.command_lines import options_of_commands, options_of_programs
from docs.docstrings import as_restructured_text
from docs.generated import MARKER, PARTS, filled
from docs.modules import modules_of
from docs.tables import cell
from downstream.recipes import RECIPES
from tests.house.sources import ROOT, tree_of
from training.datasets import DATASETS

PATTERNS = (
    "*.md", "docs/*.md", "docs/api/*.md", "downstream/README.md", "downstream/recipes/*/README.md",
    "tutorials/README.md", "tutorials/[0-9][0-9]_*.py",
)  # fmt: skip
"""What docs/conf.py includes."""
PAGES = sorted(
    path.relative_to(ROOT).as_posix() for pattern in PATTERNS for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\((?!https?:)([^)\s]*)\)")
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^ *```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
OURS = re.compile(r"(?:\batomfm|python -m (?:training|downstream))(?: .*|$)", re.MULTILINE)


@cache
def _text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@cache
def _anchors(page: str) -> set[str]:
    """As a forge makes them of the headings; those of generated parts too."""
    headings = re.findall(r"^#+ (.*)$", CODE.sub(_without_blocks, filled(_text(page))), re.M)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


def _without_blocks(code: re.Match[str]) -> str:
    return "" if code[0].startswith("```") else code[0]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: str) -> None:
    for link in LINK.findall(CODE.sub("", _text(page))):
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        if anchor:
            name = target.resolve().relative_to(ROOT).as_posix()
            assert anchor in _anchors(name), f"{link}: {name} has no such heading"


def test_every_page_is_in_a_toctree() -> None:
    found = {"docs/index.md"}
    for page in PAGES:
        for lines in TOCTREE.findall(_text(page)):
            for entry in lines.split():
                place = ROOT / entry[1:] if entry.startswith("/") else (ROOT / page).parent / entry
                matches = place.parent.parent.glob(f"{place.parent.name}/{place.name}.*")
                found |= {path.relative_to(ROOT).as_posix() for path in matches}
    assert set(PAGES) - found == set()


@pytest.mark.parametrize(
    ("part", "names"),
    [
        ("models", [name for card in list_models().values() for name in card.heads]),
        ("models", list_models()),
        ("datasets", DATASETS),
        ("recipes", RECIPES),
        ("workflows", WORKFLOWS),
    ],
    ids=["heads", "models", "datasets", "recipes", "workflows"],
)
def test_a_generated_table_names_all_that_is_registered(part: str, names: list[str]) -> None:
    text = PARTS[part]()
    assert [name for name in names if not re.search(rf"[\[# ]{name}[`\]\n]", text)] == []
    assert any(f"<!-- generated: {part} -->" in _text(page) for page in PAGES)


def test_every_public_module_is_in_the_reference() -> None:
    words = [marker[2] for page in PAGES for marker in MARKER.finditer(_text(page))]
    named = [name for line in words for name in line.split() if "." in name]
    assert set(modules_of("atomfm_calc")) - set(modules_of(*named)) == set()


def _commands(page: str) -> list[str]:
    """Our commands on a page, each on one line without its comment."""
    blocks = "\n".join(SHELL.findall(_text(page))).replace("\\\n", " ")
    lines = [re.sub(r"(^|\s)#.*", "", line) for line in blocks.splitlines()]
    return OURS.findall("\n".join(line for line in lines if not line.startswith("make ")))


@pytest.mark.parametrize("page", [page for page in PAGES if _commands(page)])
def test_every_command_on_a_page_exists_with_its_options(page: str) -> None:
    known, common = options_of_commands(), options_of_programs()
    for command in _commands(page):
        words = [word for word in command.split() if word not in common]
        if words[1:2] == ["screen"] and words[2] not in ("run", "plan", "report"):
            words.insert(2, "run")  # what is left out is "run"
        names = [" ".join(words[:length]) for length in range(len(words), 1, -1)]
        name = next((name for name in names if name in known), None)
        assert name or words == ["atomfm"], command
        used = re.findall(r"(?<=\s)--[a-zA-Z][\w-]*", " ".join(words))
        assert set(used) <= known.get(name or "", set()), command


def test_an_unknown_generated_part_is_an_error_that_lists_the_parts() -> None:
    with pytest.raises(UnknownNameError, match="no generated part 'model'.*models"):
        filled("<!-- generated: model -->")


def test_an_unknown_module_of_the_reference_is_named() -> None:
    with pytest.raises(UnknownNameError, match=r"atomfm_calc\.potential"):
        modules_of("atomfm_calc.errors", "atomfm_calc.potential")


def test_plain_text_stays_plain_in_a_table() -> None:
    assert cell("|F| of a_b* in `x_1|y`\n <1") == r"\|F\| of a\_b\* in `x_1\|y` \<1"


def test_a_docstring_keeps_its_characters_in_the_reference() -> None:
    lines = ["Mean of |error| of `a_`, *all* of `b|c`; x_ too.", ""]
    assert (
        as_restructured_text(lines)[0] == r"Mean of \|error\| of `a_`, \*all\* of `b|c`; x\_ too."
    )


def test_an_example_in_a_docstring_stays_code() -> None:
    lines = ["Say", "", "    calc = make(*arguments)", "", "Args:", "    calc: of a_b_."]
    written = [
        "Say",
        "",
        "::",
        "",
        "    calc = make(*arguments)",
        "",
        "Args:",
        r"    calc: of a_b\_.",
    ]
    assert as_restructured_text(lines) == written


def test_the_pages_of_the_settings_are_those_of_the_tests() -> None:
    (patterns,) = (
        ast.literal_eval(node.value)
        for node in tree_of("docs/conf.py").body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "include_patterns"
    )
    found = {path.relative_to(ROOT).as_posix() for one in patterns for path in ROOT.glob(one)}
    assert found == set(PAGES)
