"""Screen on several ranks, kill them at random moments, again and again; then finish and compare.

    python -m tests.mpi.kill_screening FOLDER [--times 10] [--ranks 4]

Every second time all ranks are killed at once, else one of them and the others after another
moment. Prints how many blocks were there after each; fails if a row is lost, double or another one.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.dataset

from atomfm_calc.config import dump_config, parse_config
from atomfm_calc.screening.campaign import Campaign
from tests.made.models import make_model_folder

COMMAND = "from atomfm_calc.cli import main; main()"
LONGEST_S = 120.0


def write_campaign(folder: Path, count: int, block_size: int) -> Path:
    """A campaign of small random structures on a tiny model."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "candidates": {"kind": "random", "count": count, "max_atoms": 8},
        "model": str(make_model_folder(folder / "model", n_features=16)),
        "device": "cpu",
        "allow_unseen_elements": True,
        "block_size": block_size,
        "stages": [{"heads": ["all"]}],
    }
    dump_config(parse_config(Campaign, content, "the test"), folder / "campaign.yaml")
    return folder / "campaign.yaml"


def start(campaign: Path, out: Path, rank: int = 0, ranks: int = 1) -> subprocess.Popen[bytes]:
    """One rank as a process of its own."""
    place = ["--rank", str(rank), "--ranks", str(ranks)]
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            COMMAND,
            "--quiet",
            "screen",
            str(campaign),
            "--out",
            str(out),
            *place,
        ]
    )


def rows_of(out: Path, kind: str = "rows") -> pyarrow.Table:
    """All rows that are there, by index."""
    files = sorted(str(path) for path in (out / "evaluate" / kind).rglob("block-*.parquet"))
    if not files:
        return pyarrow.table({"index": pyarrow.array([], pyarrow.int64())})
    return pyarrow.dataset.dataset(files, format="parquet").to_table().sort_by("index")


def blocks_of(out: Path) -> int:
    """Blocks that are there."""
    return len(list((out / "evaluate" / "rows").rglob("block-*.parquet")))


def run_and_kill(campaign: Path, out: Path, ranks: int, all_at_once: bool, longest_s: float) -> int:
    """Start all ranks, wait until they work and then a random time, kill; the blocks there are."""
    before = blocks_of(out)
    processes = [start(campaign, out, rank, ranks) for rank in range(ranks)]
    deadline = time.monotonic() + LONGEST_S
    while blocks_of(out) == before:
        assert time.monotonic() < deadline, "no rank has finished a block"
        assert all(process.poll() in (None, 0) for process in processes), "a rank has failed"
        time.sleep(0.01)
    time.sleep(random.uniform(0.0, longest_s))
    victims = random.sample(processes, len(processes))
    for victim in victims:
        victim.send_signal(signal.SIGKILL)
        if not all_at_once and victim is victims[0]:
            time.sleep(random.uniform(0.0, longest_s))
    for process in processes:
        process.wait()
    return blocks_of(out)


def finish(campaign: Path, out: Path, ranks: int) -> None:
    """Run to the end on any number of ranks."""
    processes = [start(campaign, out, rank, ranks) for rank in range(ranks)]
    assert [process.wait(timeout=LONGEST_S) for process in processes] == [0] * ranks


def check(campaign: Path, killed: Path, whole: Path) -> int:
    """The number of rows, the same in both folders, or an AssertionError."""
    finish(campaign, whole, ranks=1)
    found, wanted = rows_of(killed), rows_of(whole)
    assert found["index"].to_pylist() == wanted["index"].to_pylist()
    assert found.equals(wanted)
    assert rows_of(killed, "quarantine").equals(rows_of(whole, "quarantine"))
    assert not list(killed.rglob(".*.partial"))
    return len(found)


def main() -> None:
    """Kill, finish on another number of ranks, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--ranks", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random.seed(options.seed)
    campaign = write_campaign(options.folder, count=6000, block_size=10)
    out = options.folder / "killed"
    for number in range(options.times):
        blocks = run_and_kill(campaign, out, options.ranks, number % 2 == 0, longest_s=0.6)
        sys.stdout.write(f"kill {number + 1}: {blocks} of 600 blocks are there\n")
        sys.stdout.flush()
    finish(campaign, out, ranks=3)
    n_rows = check(campaign, out, options.folder / "whole")
    sys.stdout.write(f"{n_rows} rows, none lost, none double, all as without kills\n")


if __name__ == "__main__":
    main()
