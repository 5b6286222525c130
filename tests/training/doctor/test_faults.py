"""Every fault put into a good file is found, and its rows are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from tests.training.doctor.made import (
    BOHR,
    HARTREE,
    KBAR,
    KCAL_PER_MOL,
    crystals,
    molecules,
    report_of,
    written,
)
from training.doctor.checks import examine
from training.doctor.report import Finding
from training.own_data import OwnData

Frames = list[Atoms]
MAKERS: dict[str, Callable[[], Frames]] = {"crystals": crystals, "molecules": molecules}


def _scale(frames: Frames, key: str, factor: float) -> None:
    for atoms in frames:
        stored = atoms.arrays if key in atoms.arrays else atoms.info
        stored[key] = stored[key] * factor


def _bad(tmp_path: Path, frames: Frames, check: str, verdict: str = "wrong") -> Finding:
    findings = report_of(tmp_path, frames).of(check)
    return next(finding for finding in findings if finding.verdict == verdict)


@pytest.mark.parametrize("name", MAKERS)
def test_a_good_file_has_nothing_wrong_or_suspicious(tmp_path: Path, name: str) -> None:
    report = report_of(tmp_path, MAKERS[name]())
    assert [finding for finding in report.findings if finding.verdict != "ok"] == []
    assert report.verdict == "ok"


@pytest.mark.parametrize("name", MAKERS)
def test_energies_in_hartree_are_found_by_the_work_of_the_forces(tmp_path: Path, name: str) -> None:
    frames = MAKERS[name]()
    _scale(frames, "REF_energy", 1.0 / HARTREE)
    finding = _bad(tmp_path, frames, "energies and forces")
    assert "the energies are in hartree" in finding.advice
    assert len(finding.rows) > 30


@pytest.mark.parametrize("name", MAKERS)
def test_forces_in_kcal_per_mol_are_found_by_the_change_of_energy(
    tmp_path: Path, name: str
) -> None:
    frames = MAKERS[name]()
    _scale(frames, "REF_forces", 1.0 / KCAL_PER_MOL)
    finding = _bad(tmp_path, frames, "energies and forces")
    assert finding.advice.startswith("probably the forces are in kcal/mol/angstrom")


def test_gradients_in_place_of_forces_are_found(tmp_path: Path) -> None:
    frames = molecules()
    _scale(frames, "REF_forces", -1.0)
    assert "minus sign" in _bad(tmp_path, frames, "energies and forces").advice


def test_stress_in_kbar_with_the_sign_of_vasp_is_found(tmp_path: Path) -> None:
    frames = crystals()
    _scale(frames, "REF_stress", -1.0 / KBAR)
    finding = next(f for f in report_of(tmp_path, frames).of("stress") if f.verdict == "wrong")
    assert "compression is positive" in finding.advice
    assert "the stress is in kbar" in finding.advice
    assert len(finding.rows) > 30


def test_positions_in_bohr_are_found_by_bond_lengths(tmp_path: Path) -> None:
    frames = molecules()
    for atoms in frames:
        atoms.positions /= BOHR
    finding = _bad(tmp_path, frames, "positions")
    assert "bohr" in finding.advice
    assert finding.rows == tuple(range(len(frames)))


def test_one_value_that_is_not_a_number_is_found(tmp_path: Path) -> None:
    frames = crystals()
    frames[7].arrays["REF_forces"][2, 1] = np.nan
    finding = _bad(tmp_path, frames, "finite")
    assert finding.rows == (7,)
    assert "forces" in finding.message


def test_a_copy_with_another_energy_is_found_whatever_the_order_of_its_atoms(
    tmp_path: Path,
) -> None:
    frames = molecules()
    copy = frames[3][[4, 2, 0, 1, 3]]
    copy.rotate(40.0, (1, 2, 3))
    copy.info["REF_energy"] += 0.5
    assert _bad(tmp_path, [*frames, copy], "duplicates").rows == (3, 40)


def test_a_periodic_copy_that_is_wrapped_elsewhere_is_found(tmp_path: Path) -> None:
    frames = crystals()
    copy = frames[5].copy()
    copy.positions += copy.cell[0] + 0.7
    copy.wrap()
    copy.info["REF_energy"] -= 0.5
    assert _bad(tmp_path, [*frames, copy], "duplicates").rows == (5, 40)


def test_an_energy_far_from_the_others_is_found(tmp_path: Path) -> None:
    frames = molecules()
    frames[11].info["REF_energy"] += 40.0
    assert _bad(tmp_path, frames, "outliers").rows == (11,)


def test_an_energy_that_does_not_fit_its_neighbors_is_found(tmp_path: Path) -> None:
    frames = crystals()
    frames[9].info["REF_energy"] += 1.2  # 0.3 eV/atom, within the spread of strained crystals
    assert _bad(tmp_path, frames, "energies and forces").rows == (9,)


def test_a_row_without_forces_is_named(tmp_path: Path) -> None:
    frames = molecules()
    del frames[4].arrays["REF_forces"]
    finding = _bad(tmp_path, frames, "missing labels", "suspicious")
    assert finding.rows == (4,)


def test_a_singlet_with_an_odd_number_of_electrons_is_found(tmp_path: Path) -> None:
    frames = molecules()
    frames[6].info["charge"] = 1
    assert _bad(tmp_path, frames, "charges").rows == (6,)


def test_a_truncated_row_is_named_and_the_next_one_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "own.extxyz", molecules())
    lines = path.read_text().splitlines(keepends=True)
    del lines[4]  # the third atom of row 0, a water molecule
    path.write_text("".join(lines))
    report = examine(OwnData(path=path))
    (finding,) = report.of("rows")
    assert finding.rows == (0,)
    assert "says 3 atoms, but 2 lines follow" in finding.message
    assert report.facts["usable_rows"] == report.n_rows - 1 == 39


def test_energies_per_atom_are_not_taken_for_totals(tmp_path: Path) -> None:
    frames = []
    for repeats in (1, 2, 3):
        for atoms in crystals(12):
            energy = atoms.info["REF_energy"] / len(atoms) - 3.5
            frames.append(atoms.repeat((repeats, 1, 1)))
            frames[-1].info["REF_energy"] = energy
    assert "per atom, not totals" in _bad(tmp_path, frames, "energy scale").message


def test_all_electron_energies_in_hartree_are_found_without_forces(tmp_path: Path) -> None:
    frames = molecules()
    for atoms in frames:
        del atoms.arrays["REF_forces"]
        atoms.info["REF_energy"] = -76.4 if len(atoms) == 3 else -40.5  # H2O, CH4 in hartree
    assert "--units energy=hartree" in _bad(tmp_path, frames, "energy scale").advice


def test_periodic_directions_without_a_cell_are_named(tmp_path: Path) -> None:
    frames = molecules()
    frames[2].pbc = True
    assert _bad(tmp_path, frames, "structures").rows == (2,)
