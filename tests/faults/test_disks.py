"""Disks that are full or cannot be written: what was there before is still whole."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

from atomfm_calc.files import write_at_once
from atomfm_calc.registry.catalog import load_model
from tests.house.sources import ROOT
from tests.made.models import make_model_folder
from tests.made.structures import STRUCTURES
from training.data.prepared import data_file, prepare_file

LIMITED = """
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that writing fails with an error, as on a disk
{imports}
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
folder = Path(sys.argv[1])
try:
    {action}
except Exception as error:
    print(type(error).__name__, error)
"""
WRITES = {
    "weights": (
        "from atomfm_calc.models.weights import save_weights\n"
        "from tests.made.models import small_model",
        "save_weights(small_model(seed=5), folder / 'model.safetensors')",
        "WeightsError .*model.safetensors cannot be written: .*make room",
    ),
    "card": (
        "from dataclasses import replace\n"
        "from atomfm_calc.registry.card import load_card, save_card",
        "save_card(replace(load_card(folder), description='long ' * 1000), folder)",
        r"OSError \[Errno 27\] File too large",
    ),
}
"""What is written into a full disk: imports, statement, message."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_model_folder(tmp_path / "tiny")


@pytest.mark.parametrize("what", WRITES)
def test_a_disk_that_fills_up_leaves_the_model_as_it_was(folder: Path, what: str) -> None:
    imports, action, message = WRITES[what]
    before = {path: path.read_bytes() for path in folder.iterdir()}
    code = LIMITED.format(imports=imports, action=action)
    command = [sys.executable, "-c", code, str(folder)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert re.search(message, result.stdout), result.stdout + result.stderr
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    load_model(folder)


def test_an_interrupted_write_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.bin"
    write_at_once(b"first", path)

    def stop(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        write_at_once(b"second", path)
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("rows.bin", b"first")]


def read(path: Path) -> list[object]:
    return [STRUCTURES["water"], STRUCTURES["ethanol"]]


def test_a_cache_that_cannot_be_written_costs_time_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = tmp_path / "data.bin"
    data.write_bytes(b"two molecules")
    blocked = tmp_path / "cache"
    blocked.write_bytes(b"a file where the folder should be")  # root may write into any folder
    with caplog.at_level(logging.WARNING):
        prepared = prepare_file(data_file(data), read, 4.0, blocked)
    assert len(prepared.groups) == 2
    assert "cannot be kept" in caplog.text
    assert "name a cache folder that can be written" in caplog.text


def test_a_damaged_cache_is_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = tmp_path / "data.bin"
    data.write_bytes(b"two molecules")
    prepare_file(data_file(data), read, 4.0, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2])
    with caplog.at_level(logging.WARNING):
        prepared = prepare_file(data_file(data), read, 4.0, tmp_path / "cache")
    assert len(prepared.groups) == 2
    assert "is damaged" in caplog.text
    assert kept.read_bytes() == whole


def test_processes_that_prepare_the_same_file_do_not_meet(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; import sys\n"
        "from tests.faults.test_disks import read\n"
        "from training.data.prepared import data_file, prepare_file\n"
        "for n in range(20):\n"
        "    prepare_file(data_file(Path(sys.argv[1])), read, 4.0 + n / 100, Path(sys.argv[2]))\n"
    )
    data = tmp_path / "data.bin"
    data.write_bytes(b"two molecules")
    command = [sys.executable, "-c", code, str(data), str(tmp_path / "cache")]
    running = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(2)]
    assert [process.communicate()[1] for process in running] == [b"", b""]
    assert len(list((tmp_path / "cache").iterdir())) == 20
