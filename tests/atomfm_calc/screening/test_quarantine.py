"""What is broken is set aside with its reason and id, and nothing else is."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import ase.db
import ase.io
import pyarrow
import pyarrow.parquet
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from atomfm_calc.errors import DataError
from atomfm_calc.screening.readers.files import FileSource
from tests.atomfm_calc.screening.broken_files import BROKEN, write_mixture
from tests.atomfm_calc.screening.conftest import table

Screen = Callable[..., Path]


@pytest.mark.parametrize("ending", [".extxyz", ".extxyz.gz"])
def test_exactly_the_broken_frames_are_quarantined(screen, tmp_path, ending) -> None:
    path = tmp_path / f"mixture{ending}"
    reasons = write_mixture(path, n_good=200, n_broken=55)
    candidates = {"kind": "files", "paths": [str(path)]}
    folder = screen(candidates=candidates, shortest_distance=0.3, block_size=40)
    lost = table(folder / "evaluate", "quarantine").to_pydict()
    assert dict(zip(lost["index"], lost["reason"], strict=True)) == reasons
    assert lost["id"][0] == f"{path}#{lost['index'][0]}"
    assert len(table(folder / "evaluate")) == 200
    assert set(reasons.values()) == {reason for reason, _ in BROKEN.values()}


def test_a_head_does_not_compute_what_it_has_not_seen(screen: Screen, tmp_path: Path) -> None:
    ase.io.write(tmp_path / "two.extxyz", [molecule("H2O"), bulk("Cu"), Atoms("U")])
    candidates = {"kind": "files", "paths": [str(tmp_path / "two.extxyz")]}
    stages = [{"heads": ["molecules", "crystals"]}]
    folder = screen(candidates=candidates, stages=stages, allow_unseen_elements=False)
    rows = table(folder / "evaluate").to_pydict()
    assert [value is None for value in rows["energy_molecules"]] == [False, True]
    assert [value is None for value in rows["energy_crystals"]] == [True, False]
    lost = table(folder / "evaluate", "quarantine").to_pydict()
    assert (lost["index"], lost["reason"]) == ([2], ["not-covered"])


def test_a_file_that_ends_too_soon_loses_its_last_frame_only(tmp_path: Path) -> None:
    path = tmp_path / "cut.extxyz.gz"
    write_mixture(path, n_good=3000, n_broken=0)
    path.write_bytes(path.read_bytes()[:-200])
    source = FileSource([str(path)])
    block = source.read(0, source.n_candidates)
    assert [rejection.reason for rejection in block.rejected] == ["truncated"]
    assert 0 < len(block) == source.n_candidates - 1


def test_garbage_with_the_name_of_a_structure_file_is_one_candidate(tmp_path: Path) -> None:
    names = ("a.extxyz", "b.cif", "c.db", "d.aselmdb", "e.parquet", "f.extxyz.gz", "g.vasp")
    for name in names:
        (tmp_path / name).write_bytes(b"\x00\xffno structure\n" * 40)
    source = FileSource([str(tmp_path)])
    block = source.read(0, source.n_candidates)
    found = [rejection.name.split("#")[0] for rejection in block.rejected]
    assert found == [str(tmp_path / name) for name in names]
    assert len(block) == 0


def _write_table(path: Path, structures: list[Atoms]) -> None:
    columns = {
        "id": [f"own-{index}" for index in range(len(structures))],
        "atomic_numbers": [atoms.numbers.tolist() for atoms in structures],
        "positions": [atoms.positions.tolist() for atoms in structures],
        "cell": [atoms.cell.array.tolist() for atoms in structures],
        "pbc": [atoms.pbc.tolist() for atoms in structures],
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), path)


def _write_database(path: Path, structures: list[Atoms]) -> None:
    with ase.db.connect(path) as database:
        for atoms in structures:
            database.write(atoms)


WRITERS = {
    "a.extxyz": ase.io.write,
    "a.xyz.gz": lambda path, structures: path.write_bytes(gzip.compress(_xyz(structures))),
    "a.db": _write_database,
    "a.aselmdb": _write_database,
    "a.parquet": _write_table,
}


def _xyz(structures: list[Atoms]) -> bytes:
    text = io.StringIO()
    ase.io.write(text, structures, format="extxyz")
    return text.getvalue().encode()


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_structures_from_any_place(name: str, tmp_path: Path) -> None:
    structures = [molecule("H2O"), bulk("Cu"), molecule("CH4"), bulk("NaCl", "rocksalt", a=5.64)]
    WRITERS[name](tmp_path / name, structures)
    source = FileSource([str(tmp_path / name)])
    assert source.n_candidates == 4
    for start, stop in ((2, 4), (0, 2), (1, 4)):
        block = source.read(start, stop)
        assert block.index.tolist() == list(range(start, stop))
        for row, atoms in enumerate(structures[start:stop]):
            found = block.atoms(row)
            assert (found.numbers == atoms.numbers).all()
            assert abs(found.positions - atoms.positions).max() < 1e-6
            assert abs(found.cell.array - atoms.cell.array).max() < 1e-6
            assert (found.pbc == atoms.pbc).all()


def test_a_folder_of_cif_files_is_read_in_order_of_names(tmp_path: Path) -> None:
    for name, symbol in (("b", "Cu"), ("a", "Fe"), ("inner/c", "Al")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        ase.io.write(tmp_path / f"{name}.cif", bulk(symbol))
    block = FileSource([str(tmp_path)]).read(0, 3)
    assert block.atomic_numbers.tolist() == [26, 29, 13]
    assert block.names == tuple(str(tmp_path / f"{name}.cif") for name in ("a", "b", "inner/c"))


def test_a_path_that_is_not_there_is_told_before_anything_is_computed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no structure file"):
        FileSource([str(tmp_path / "absent*.extxyz")])
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match="of no known format"):
        FileSource([str(tmp_path / "notes.txt")])
