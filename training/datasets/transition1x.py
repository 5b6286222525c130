"""Transition1x: reaction paths of organic molecules, ωB97X/6-31G(d), one HDF5 file.

`data/FORMULA/REACTION` holds `atomic_numbers` [N], `positions` [M, N, 3] in Å, and energies and
forces in eV and eV/Å of all images of all iterations of a nudged elastic band. Its subgroups
`reactant`, `product` and `transition_state` repeat images of the band, and the groups `train`,
`val` and `test` refer to the reactions of `data` again; none of these is read, so that no image
comes twice.

The published division by reaction is not used: reactions that start at the same molecule would
share it across splits, as end points of two bands. Division by composition keeps them together.
"""

from __future__ import annotations

import numpy as np

from atomfm_calc.sample import Sample
from training.datasets.adapter import DatasetInfo, PublicDataset
from training.datasets.readers.hdf5 import Hdf5Layout, Hdf5Record, hdf5_format
from training.datasets.readers.labels import labels

ENERGY, FORCES = "wB97x_6-31G(d).energy", "wB97x_6-31G(d).forces"
LAYOUT = Hdf5Layout(
    root="data", depth=2, shared=("atomic_numbers",), by_row=("positions", ENERGY, FORCES)
)


def sample_of(record: Hdf5Record) -> Sample:
    """One image -> sample; `group` is the reaction."""
    values = record.values
    numbers = values["atomic_numbers"].astype(np.int64)
    return Sample(
        atomic_numbers=numbers,
        positions=values["positions"].astype(np.float64),
        targets=labels(len(numbers), energy=values[ENERGY], forces=values[FORCES]),
        group="/".join(record.names),
    )


TRANSITION1X = PublicDataset(
    info=DatasetInfo(
        name="transition1x",
        title="Reaction paths of organic molecules of H, C, N, O, range-separated hybrid",
        theory="wB97X/6-31G(d)",
        code="ORCA",
        data="Transition1x: nudged elastic bands of 10 thousand reactions, all iterations",
        source="Schreiner et al., Sci. Data 9, 779 (2022)",
        licence="MIT (as ColabFit states for its copy; not verified on figshare)",
        redistributable=False,
        energy_zero="all nuclei and electrons at infinite separation",
        atom_energies={
            1: -13.62222753701504,
            6: -1029.4130839658328,
            7: -1484.8710358098756,
            8: -2041.8396277138045,
        },
        doi="10.1038/s41597-022-01870-w",
        size="9.6 million structures, one file",
        obtain="curl -L -o Transition1x.h5 https://figshare.com/ndownloader/files/36035789",
        good_for=("reaction barriers and paths of small organic molecules",),
        not_for=("ions", "open shells: bonds are broken in the lowest spin", "other elements"),
    ),
    # figshare gives the file no name; these two are in use
    patterns=("**/Transition1x.h5", "**/transition1x*.h5"),
    format=hdf5_format(LAYOUT),
    sample_of=sample_of,
    overlapping=(("Transition1x.h5", "transition1x*.h5"),),
)
