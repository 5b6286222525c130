"""The command line of training ends with one line that says what to do."""

from __future__ import annotations

import subprocess
import sys

from tests.house.sources import ROOT

WITHOUT_HDF5 = """
import runpy, sys
sys.modules["h5py"] = None
sys.argv = ["training", "datasets", "list"]
runpy.run_module("training", run_name="__main__")
"""


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    command = [sys.executable, "-c", WITHOUT_HDF5]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1
    assert "needs the package 'h5py'" in result.stderr
    assert 'pip install "atomfm[training' in result.stderr
    assert "Traceback" not in result.stderr
