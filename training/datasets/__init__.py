"""Datasets by name; the name is also that of the head that learns from it."""

from __future__ import annotations

from training.datasets import (
    alexandria,
    ani1x,
    collected,
    mptrj,
    nabla2dft,
    odac23,
    omat24,
    omol25,
    open_catalyst,
    published,
    qcml,
    qm7x,
    transition1x,
)
from training.datasets.adapter import Dataset

DATASETS: dict[str, Dataset] = {
    "alexandria": alexandria.ALEXANDRIA,
    "ani1x": ani1x.ANI1X,
    "mptrj": mptrj.MPTRJ,
    "oc20": open_catalyst.OC20,
    "oc22": open_catalyst.OC22,
    "oc25": open_catalyst.OC25,
    "odac23": odac23.ODAC23,
    "omat24": omat24.OMAT24,
    "omol25": omol25.OMOL25,
    "omol25-neutral": omol25.OMOL25_NEUTRAL,
    "omol25-non-neutral": omol25.OMOL25_NON_NEUTRAL,
    "opoly2026": omol25.OPOLY2026,
    "nabla2dft": nabla2dft.NABLA2DFT,
    "qcml": qcml.QCML,
    "qm7x": qm7x.QM7X,
    "transition1x": transition1x.TRANSITION1X,
    "alexandria-pbe": published.ALEXANDRIA_PBE,
    "mlearn-pbe": published.MLEARN_PBE,
    "monbtaw-pbe": published.MONBTAW_PBE,
    "bpa-wb97x": published.BPA_WB97X,
    "acac-pbe-d3": published.ACAC_PBE_D3,
    "alcohols-pbe": published.ALCOHOLS_PBE,
    "ethanol-pbe-ts": published.ETHANOL_PBE_TS,
    "water-pbe0-ts": published.WATER_PBE0_TS,
    "combustion-mn15": published.COMBUSTION_MN15,
    "electrolyte-pbe-d3": published.ELECTROLYTE_PBE_D3,
    "gfn1-xtb": collected.GFN1_XTB,
    "gfn2-xtb": collected.GFN2_XTB,
    "pbe0-svp": collected.PBE0_SVP,
    "pbe-svp": collected.PBE_SVP,
    "gpaw-pbe": collected.GPAW_PBE,
    "extxyz": collected.EXTXYZ,
}
"""Adding a dataset: one entry here, one adapter in this folder."""
