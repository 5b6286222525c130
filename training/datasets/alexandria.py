"""Alexandria: relaxed crystals, layers and wires, PBE, as pymatgen entries in .json.bz2.

An entry has `structure` (with `forces` among the properties of its sites) and `data`, where
`energy_total` is VASP's energy of the cell, and `e_form` the formation energy *per atom*, which is
no label here. `energy_corrected` has the corrections of MP2020 in it and is not read either.

The authors do not state unit and sign of `data.stress`. The records of their benchmark at high
pressure, of the same form and program, are VASP's kbar with compression positive: at 50 and 100 GPa
they have +500 and +1000 on the diagonal. It is read so here.
"""

from __future__ import annotations

from dataclasses import replace

from atomfm_calc.sample import Sample
from training.datasets.adapter import DatasetInfo, PublicDataset, Units
from training.datasets.readers.json_entries import ENTRIES_FORMAT, JsonObject
from training.datasets.readers.labels import labels
from training.datasets.readers.pymatgen_structure import (
    sample_of_structure,
    site_property,
    stress_of_vasp,
)


def sample_of(entry: JsonObject) -> Sample:
    """A computed entry -> sample; `group` is the material's identifier."""
    structure, data = entry["structure"], entry["data"]
    sample = sample_of_structure(structure)
    targets = labels(
        sample.n_atoms,
        energy=data["energy_total"],
        forces=site_property(structure, "forces"),
        stress=stress_of_vasp(data.get("stress"), sample),
    )
    return replace(sample, targets=targets, group=data["mat_id"])


ALEXANDRIA = PublicDataset(
    info=DatasetInfo(
        name="alexandria",
        title="Relaxed inorganic crystals, layers and wires over most elements, PBE",
        theory="PBE, PAW, +U for oxides and fluorides of some metals, spin polarized",
        code="VASP",
        data="Alexandria: predicted compounds near the convex hull, each at its relaxed structure",
        source="Schmidt et al., Adv. Mater. 35, 2210788 (2023)",
        licence="CC BY 4.0 (stated on the site of the Alexandria database)",
        redistributable=True,
        energy_zero="VASP total energy: valence electrons relative to the pseudo-atoms",
        units=Units(stress="kbar, compression positive (inferred, not stated by the authors)"),
        doi="10.1002/adma.202210788",
        size="PBE 3D of 2025.07.02: 5 777 914 structures, 58 files, 3.4 GB; 2D and 1D: not stated",
        obtain=(
            "One release only, or structures come twice: "
            "wget -r -np -nd -A 'alexandria_*.json.bz2' "
            "https://alexandria.icams.rub.de/data/pbe/2025.07.02/ and the same for data/pbe_2d "
            "and data/pbe_1d. convex_hull_*.json.bz2 repeats a part of them and is not read."
        ),
        good_for=("energies of crystals at their equilibrium", "stability over most elements"),
        not_for=("phonons and hot dynamics: the structures are relaxed", "molecules", "surfaces"),
    ),
    # a digit comes first: alexandria_ps_* is PBEsol, alexandria_scan_* is SCAN
    patterns=("**/alexandria_[0-9]*.json.bz2",),
    format=ENTRIES_FORMAT,
    sample_of=sample_of,
)
