"""Miniature of the published files of every public dataset, by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.made import public_files_ase as ase_files
from tests.made import public_files_h5_json as h5_json_files

MINIATURES: dict[str, Callable[[Path], Path]] = {
    "alexandria": h5_json_files.alexandria,
    "ani1x": h5_json_files.ani1x,
    "mptrj": h5_json_files.mptrj,
    "oc20": ase_files.write_oc20,
    "oc22": ase_files.write_oc22,
    "oc25": ase_files.write_oc25,
    "odac23": ase_files.write_odac23,
    "omat24": ase_files.write_omat24,
    "omol25": ase_files.write_omol25,
    "omol25-neutral": ase_files.write_omol25,
    "omol25-non-neutral": ase_files.write_omol25,
    "opoly2026": ase_files.write_opoly2026,
    "nabla2dft": ase_files.write_nabla2dft,
    "qcml": h5_json_files.qcml,
    "qm7x": h5_json_files.qm7x,
    "transition1x": h5_json_files.transition1x,
}
"""Writes the files below a folder and returns the dataset's root."""
