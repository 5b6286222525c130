"""Shards -> structures, in any order; a shard that is not what it was is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atomfm_calc.errors import DataError, UnknownNameError
from tests.training.made import CUTOFF, same_graphs, samples
from tests.training.shards.conftest import Enter
from tests.training.shards.made import MadeDataset, converted
from training.data.packed import PackedGraphs, concatenate, pack
from training.data.record import build_edges
from training.describe import describe, merge
from training.shards.reader import ShardSource, verify_shards, without_edges

ORDER = np.array([25, 0, 11, 11, 12, 13, 3, 24])


def _expected(source: ShardSource) -> PackedGraphs:
    """All structures in the order of the source, straight from the samples."""
    files = [pack(samples(10), CUTOFF, 0), pack(samples(16), CUTOFF, 1)]
    columns = source.decode(source.fetch(np.arange(len(source)))).columns
    rows = 10 * columns["file"].numpy() + columns["frame"].numpy()
    return build_edges(concatenate(files).select(rows.astype(np.int64)), source.cutoff)


@pytest.mark.parametrize("edges", [True, False])
@pytest.mark.parametrize("preload", [True, False])
def test_structures_come_back_bit_by_bit_in_the_order_asked_for(
    tmp_path: Path, edges: bool, preload: bool
) -> None:
    converted(tmp_path, edges=edges)
    source = ShardSource(tmp_path / "out/made", CUTOFF, preload=preload)
    expected = _expected(source)
    assert same_graphs(source.decode(source.fetch(ORDER)), expected.select(ORDER))
    assert np.array_equal(source.n_atoms, expected.n_atoms)
    assert np.array_equal(source.n_edges, expected.n_edges)
    assert len(source.decode(source.fetch(ORDER[:0]))) == 0


def _edge_set(graphs: PackedGraphs) -> list[tuple[int, ...]]:
    graph, _ = graphs.join()
    return sorted(zip(*graph.edge_index.tolist(), *graph.edge_shift.T.int().tolist(), strict=True))


@pytest.mark.parametrize("edges", [True, False])
def test_a_smaller_cutoff_leaves_the_edges_within_it(tmp_path: Path, edges: bool) -> None:
    converted(tmp_path, edges=edges)
    source = ShardSource(tmp_path / "out/made", 2.0)
    expected = _expected(source)
    assert 0 < expected.n_edges.sum() < source.n_edges.sum()
    found = source.decode(source.fetch(ORDER))
    assert np.array_equal(found.n_edges, expected.n_edges[ORDER])
    assert _edge_set(found) == _edge_set(expected.select(ORDER))


def test_a_larger_cutoff_asks_for_another_conversion(tmp_path: Path) -> None:
    converted(tmp_path)
    with pytest.raises(DataError, match=r"was made for 3\.0 Å; convert again with --cutoff 4\.0"):
        ShardSource(tmp_path / "out/made", 4.0)


def test_a_few_open_shards_serve_them_all(tmp_path: Path) -> None:
    converted(tmp_path)
    few, all_open = (ShardSource(tmp_path / "out/made", CUTOFF, max_open=n) for n in (1, 9))
    graphs = [source.decode(source.fetch(ORDER)) for source in (few, all_open)]
    assert same_graphs(*graphs)
    all_open.close()
    assert same_graphs(all_open.decode(all_open.fetch(ORDER)), graphs[0])


def test_training_parts_are_the_training_structures_without_edges(tmp_path: Path) -> None:
    converted(tmp_path)
    for preload in (False, True):
        source = ShardSource(tmp_path / "out/made", CUTOFF, preload=preload)
        parts = concatenate(list(source.training_parts()))
        assert same_graphs(parts, without_edges(_expected(source).select(source.members("train"))))
        some = concatenate(list(source.training_parts(limit=4)))
        assert len(some) == 4
        assert len(set(some.columns["file"].tolist())) == 2  # from all over the shards


def test_members_are_the_ranges_of_a_split(tmp_path: Path) -> None:
    index = converted(tmp_path)
    source = ShardSource(tmp_path / "out/made", CUTOFF)
    for split, ranges in source.split_ranges.items():
        assert source.members(split).tolist() == [row for run in ranges for row in run]
        assert len(source.members(split)) == index.summary["n_structures"][split]
    with pytest.raises(UnknownNameError, match="no split 'valid'.*Did you mean 'validation'"):
        source.members("valid")


def test_the_summary_of_shards_is_that_of_all_their_structures(tmp_path: Path) -> None:
    index = converted(tmp_path)
    source = ShardSource(tmp_path / "out/made", CUTOFF)
    train = _expected(source).select(source.members("train"))
    assert index.summary == describe(train, index.summary["n_structures"])
    assert merge([])["elements"] == {}


def test_an_index_out_of_range_is_refused(tmp_path: Path) -> None:
    converted(tmp_path)
    with pytest.raises(DataError, match="structures 0 to 25; 3 to 26 were asked for"):
        ShardSource(tmp_path / "out/made", CUTOFF).fetch(np.array([26, 3]))


def test_a_shard_without_structures_has_no_folder(tmp_path: Path, enter: Enter) -> None:
    enter(MadeDataset(changes={number: {"targets": {}} for number in range(7)}))
    index = converted(tmp_path)
    assert [shard.size for shard in index.shards] == [0, 3, 0, 7, 2]
    source = ShardSource(tmp_path / "out/made", CUTOFF)
    assert len(source.decode(source.fetch(np.arange(12)))) == 12
    verify_shards(source.folder, source.index, with_checksums=True)
