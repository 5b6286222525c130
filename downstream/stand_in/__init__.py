"""Small sets computed by the project, in place of public files that are not at hand.

`python -m downstream.stand_in` computes them anew. What they hold says `STAND_INS`.
"""

from __future__ import annotations

from pathlib import Path

from atomfm_calc.errors import lookup

FOLDER = Path(__file__).parent

STAND_INS: dict[str, str] = {
    "alloys": "ordered alloys of seven metals, EMT",
    "compounds": "elements and binary crystals, GFN1-xTB",
    "disordered-alloy": "frames of a disordered six-metal alloy, EMT",
    "hot-molecules": "frames of hot ethanol and malonaldehyde, HF/6-31G",
    "layers": "single layers, GFN1-xTB",
    "molecules": "small organic molecules, GFN1-xTB and HF/6-31G",
    "perovskites": "cubic perovskites, GFN1-xTB",
    "strained-conformers": "strained formamide and methanol, CCSD(T)/def2-SVP",
}
"""Name of a file -> what it holds."""


def stand_in_path(name: str) -> Path:
    """The file of a stand-in; UnknownNameError names those there are."""
    lookup(STAND_INS, name, "stand-in", "atomfm")
    return FOLDER / f"{name}.extxyz.gz"
