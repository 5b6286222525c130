"""MPtrj: relaxations of the Materials Project, PBE and PBE+U, one JSON file of 11 GB.

The file is `{mp-id: {frame-id: {...}}}`. The energy is `corrected_total_energy`, VASP's energy of
the cell with the corrections of MP2020, which alone makes the energies of PBE and PBE+U comparable;
`energy_per_atom` and `ef_per_atom` are per atom and no labels here. `stress` is VASP's, in kbar
with compression positive: CHGNet, by the makers of the file, multiplies it by -0.1 to get GPa.
A frame that lacks a label is a sample without it.
"""

from __future__ import annotations

from dataclasses import replace

from atomfm_calc.sample import Sample
from training.datasets.adapter import DatasetInfo, PublicDataset, Units
from training.datasets.readers.json_entries import NESTED_ENTRIES_FORMAT, NestedEntry
from training.datasets.readers.labels import labels
from training.datasets.readers.pymatgen_structure import sample_of_structure, stress_of_vasp

FORMS = ("MPtrj_*.json", "MPtrj_*.json.gz", "MPtrj_*.json.bz2")
"""The file as published, and as it may be kept."""


def sample_of(frame: NestedEntry) -> Sample:
    """One frame -> sample; `group` is the mp-id, so that trajectories stay together."""
    values = frame.values
    sample = sample_of_structure(values["structure"])
    targets = labels(
        sample.n_atoms,
        energy=values.get("corrected_total_energy"),
        forces=values.get("force"),
        stress=stress_of_vasp(values.get("stress"), sample),
    )
    return replace(sample, targets=targets, group=frame.outer)


MPTRJ = PublicDataset(
    info=DatasetInfo(
        name="mptrj",
        title="Relaxation trajectories of crystals of the Materials Project, 89 elements, PBE(+U)",
        theory="PBE and PBE+U, PAW, spin polarized; energies with MP2020 corrections",
        code="VASP",
        data="MPtrj 2022.9: frames of relaxations and static runs",
        source="Deng et al., Nature Machine Intelligence 5, 1031 (2023)",
        licence="CC BY 4.0 (the terms of the Materials Project; that of the deposit not verified)",
        redistributable=True,
        energy_zero=("VASP total energy relative to the pseudo-atoms, plus the MP2020 corrections"),
        units=Units(stress="kbar, compression positive"),
        doi="10.6084/m9.figshare.23713842",
        size="1 580 395 structures of 145 923 materials, one file of 11.35 GB",
        obtain=(
            "curl -L -o MPtrj_2022.9_full.json https://figshare.com/ndownloader/files/41619375 "
            "(it may be kept as .json.gz or .json.bz2)"
        ),
        good_for=("relaxation of crystals over most elements", "stress and cell relaxation"),
        not_for=("molecules", "surfaces", "hot or strongly strained crystals"),
    ),
    patterns=tuple(f"**/{name}" for name in FORMS),
    format=NESTED_ENTRIES_FORMAT,
    sample_of=sample_of,
    overlapping=(FORMS,),
)
