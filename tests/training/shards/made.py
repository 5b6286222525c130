"""A dataset of made structures whose files hold one number: how many there are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample
from tests.training.made import CUTOFF, samples
from training.datasets.adapter import DatasetInfo, Split
from training.shards.convert import Order, convert
from training.shards.layout import ConvertSettings, ShardIndex

INFO = DatasetInfo(
    name="made", title="t", theory="springs", code="c", data="d", source="s", licence="l",
    redistributable=True, energy_zero="z", uses_charge=True, split="random",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MadeDataset:
    """`name.made` holds a number n: the first n of `tests.training.made.samples`, changed."""

    info: DatasetInfo = INFO
    changes: Mapping[int, Mapping[str, object]] = field(default_factory=dict)
    """Record -> fields of `Sample` to replace."""
    groups: int = 0
    """Above 0: record i belongs to group i % groups."""
    splits: Mapping[str, Split] = field(default_factory=dict)
    """File name -> published split."""
    passed_over: frozenset[int] = frozenset()
    """Records that belong to another dataset."""
    reads: list[str] = field(default_factory=list)
    """"file#first record" of every call of `read`."""

    def files(self, root: Path) -> list[Path]:
        found = sorted(root.rglob("*.made"))
        if not found:
            raise DataError(f"{root} holds no *.made")
        return found

    def count(self, path: Path) -> int:
        return int(json.loads(path.read_text()))

    def read(self, path: Path, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
        self.reads.append(f"{path.name}#{start}")
        for number, sample in enumerate(samples(self.count(path))[start:stop], start):
            if number in self.passed_over:
                continue
            changed = replace(sample, source=f"{path.name}#{number}")
            if self.groups:
                changed = replace(changed, group=f"g{number % self.groups}")
            yield replace(changed, **self.changes.get(number, {}))  # type: ignore[arg-type]

    def published_split(self, path: Path) -> Split | None:
        return self.splits.get(path.name)


def write_files(root: Path, **counts: int) -> Path:
    """`name.made` for each name."""
    root.mkdir(exist_ok=True)
    for name, count in counts.items():
        (root / f"{name}.made").write_text(str(count))
    return root


def order(root: Path, out: Path, **settings: object) -> Order:
    """Convert "made" in shards of seven records, a third held out."""
    chosen: dict[str, object] = {
        "cutoff": CUTOFF,
        "structures_per_shard": 7,
        "validation_fraction": 0.2,
        "test_fraction": 0.1,
    }
    return Order(dataset="made", root=root, out=out, settings=ConvertSettings(**chosen | settings))


def converted(tmp_path: Path, **settings: object) -> ShardIndex:
    """Two files of 10 and 16 records as shards in `tmp_path/out/made`."""
    return convert(order(write_files(tmp_path / "data", a=10, b=16), tmp_path / "out", **settings))


def content(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def charged(sample_charge: int) -> dict[str, object]:
    """Changes of a sample that make it an ion."""
    return {"charge": sample_charge, "multiplicity": 2}


NOT_A_NUMBER = {"targets": {"energy": np.array(np.nan)}}
