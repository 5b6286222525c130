"""The shell completes commands and options; `--help` stays fast."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ATOMFM = shutil.which("atomfm", path=str(Path(sys.executable).parent))
BASH = shutil.which("bash")
needs_both = pytest.mark.skipif(
    ATOMFM is None or BASH is None, reason="needs the installed command and bash"
)


def bash(program: str, home: Path) -> str:
    """What a program prints in a shell whose start files are in `home`."""
    assert ATOMFM is not None
    path = f"{Path(ATOMFM).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "HOME": str(home), "PATH": path}
    told = subprocess.run(
        [str(BASH), "-c", program], capture_output=True, text=True, env=environment, timeout=60
    )
    assert told.returncode == 0, told.stderr
    return told.stdout


@needs_both
def test_the_shell_completes_commands_and_options(tmp_path: Path) -> None:
    program = """
        eval "$(atomfm --show-completion)"
        COMP_WORDS=(atomfm run ph); COMP_CWORD=2; _atomfm_completion atomfm
        echo "${COMPREPLY[@]}"
        COMP_WORDS=(atomfm run md --temp); COMP_CWORD=3; _atomfm_completion atomfm
        echo "${COMPREPLY[@]}"
    """
    assert bash(program, tmp_path).split() == ["phonons", "--temperature-K"]


@needs_both
def test_completion_is_installed_for_the_shell(tmp_path: Path) -> None:
    assert "bash completion installed" in bash("atomfm --install-completion; true", tmp_path)
    assert "atomfm" in (tmp_path / ".bashrc").read_text()
    program = 'source "$HOME/.bashrc"; complete -p atomfm'
    assert "_atomfm_completion" in bash(program, tmp_path)


def test_help_imports_nothing_that_takes_long() -> None:
    program = (
        "import sys; from atomfm_calc.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "slow = {'torch', 'ase', 'rich', 'numpy', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(slow)) or 0)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert "Exit status: 0 done" in " ".join(told.stdout.split())
