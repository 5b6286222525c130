"""The README says what is there: its table of heads, its files, its commands."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from atomfm_calc.registry.catalog import list_models
from tests.house.sources import ROOT

DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")


@pytest.mark.skipif(not list_models(), reason="no model ships with this copy")
def test_the_table_of_heads_is_that_of_the_card() -> None:
    command = [sys.executable, "docs/readme_table.py", "--check"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), flags=re.S)


@pytest.mark.skipif(not list_models(), reason="no model ships with this copy")
@pytest.mark.parametrize("code", EXAMPLES, ids=range(len(EXAMPLES)))
def test_the_examples_of_the_readme_run(code: str) -> None:
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_is_linked_exists(document: str) -> None:
    links = LINK.findall((ROOT / document).read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_make_target_of_the_readme_exists() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"^make ([a-z]+)|`make ([a-z]+)", text, flags=re.MULTILINE)
    targets = [first or second for first, second in targets]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {"demo", "test"} <= set(targets)
    assert [name for name in targets if f"\n{name}:" not in makefile] == []


def test_every_version_of_the_constraints_is_exact() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    assert "torch==2.13.0" in pins
