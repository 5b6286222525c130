"""The sixteen branches of HydraGNN's 2026 release: which data set each one was trained on.

A checkpoint names its branches by number alone; this is the order in HydraGNN's scripts for that
release (`gfm_mlip_all_mpnn.py`). Facts about the data sets are those of `training.datasets`; what
HydraGNN made of a data set is said where it matters.
"""

from __future__ import annotations

from typing import Any, NamedTuple

DEFAULT_HEAD = "omat24"
DEFAULT_HEAD_REASON = (
    "total energies and forces of crystals over most elements; use omol25 for molecules and ions"
)

ENERGY_ZERO = (
    "reference energies of the elements, fitted to the data set by HydraGNN; the checkpoint does "
    "not hold them, so that only energies of equal composition can be compared"
)
NOT_FOR = (
    "fragments that come apart and supercells: energies are not sums over atoms",
    "total energies: element reference energies are not in the checkpoint",
)
STATED_CHARGES = tuple(range(-10, 11))
STATED_MULTIPLICITIES = tuple(range(1, 12))
"""What the data sets with charges say they cover (OMol25: -10 to 10 e, 2S+1 from 1 to 11)."""
_ORGANIC = ("H", "C", "N", "O")
_MOLECULES, _SLABS, _CRYSTALS, _LOW = (
    ("molecule",), ("2d", "3d"), ("3d",), ("1d", "2d", "3d"),
)  # fmt: skip
_VASP, _ORCA = "VASP", "ORCA"


class _Data(NamedTuple):
    theory: str
    code: str
    data: str
    source: str
    licence: str
    periodicity: tuple[str, ...]
    elements: tuple[str, ...] = ()
    """Empty: most elements, which ones the checkpoint does not say"""
    states_charge: bool = False
    """Whether HydraGNN was given charge and multiplicity of the structures; else 0 and 1 always"""
    not_for: tuple[str, ...] = ()


_CC_FAIRCHEM = "CC BY 4.0 (documentation of fairchem)"
_OMOL = "Levine et al., arXiv:2505.08762"
_OMOL_THEORY = "ωB97M-V/def2-TZVPD, nonlocal dispersion"

RELEASE: dict[str, _Data] = {
    "alexandria": _Data(
        "PBE, PAW, +U for oxides and fluorides of some metals", _VASP,
        "Alexandria: relaxed crystals, layers and wires",
        "Schmidt et al., Adv. Mater. 35, 2210788 (2023)", "CC BY 4.0", _LOW,
        not_for=("energies beside forces: trained on e_form of the files, not on total energies",),
    ),
    "ani1x": _Data(
        "wB97X/6-31G(d)", "Gaussian 09", "ANI-1x: conformers chosen by active learning",
        "Smith et al., Sci. Data 7, 134 (2020)", "CC0 (not verified)", _MOLECULES, _ORGANIC,
    ),
    "mptrj": _Data(
        "PBE and PBE+U, PAW; energies with MP2020 corrections", _VASP,
        "MPtrj 2022.9: frames of relaxations", "Deng et al., Nat. Mach. Intell. 5, 1031 (2023)",
        "CC BY 4.0 (not verified)", _CRYSTALS,
    ),
    "oc2020": _Data(
        "RPBE, PAW, no dispersion", _VASP, "Open Catalyst 2020, S2EF",
        "Chanussot et al., ACS Catal. 11, 6059 (2021)", _CC_FAIRCHEM, _SLABS,
    ),
    "oc2022": _Data(
        "PBE+U, PAW, no dispersion", _VASP, "Open Catalyst 2022: oxides",
        "Tran et al., ACS Catal. 13, 3066 (2023)", _CC_FAIRCHEM, _SLABS,
    ),
    "oc25": _Data(
        "RPBE-D3 (zero damping), PAW", _VASP, "Open Catalyst 2025: solid-liquid interfaces",
        "Sahoo et al., arXiv:2509.17862", _CC_FAIRCHEM, _SLABS,
    ),
    "odac23": _Data(
        "PBE-D3(BJ), PAW", _VASP, "Open DAC 2023: metal-organic frameworks with CO2 and H2O",
        "Sriram et al., ACS Cent. Sci. 10, 923 (2024)", _CC_FAIRCHEM, _CRYSTALS,
    ),
    "omat24": _Data(
        "PBE, PAW 5.4, +U for oxides and fluorides", _VASP,
        "Open Materials 2024: rattled crystals, dynamics, relaxations",
        "Barroso-Luque et al., arXiv:2410.12771", _CC_FAIRCHEM, _CRYSTALS,
    ),
    "omol25": _Data(
        _OMOL_THEORY, _ORCA, "Open Molecules 2025", _OMOL, "CC BY 4.0", _MOLECULES,
        states_charge=True,
    ),
    "omol25-neutral": _Data(
        _OMOL_THEORY, _ORCA, "Open Molecules 2025, by its name the neutral structures", _OMOL,
        "CC BY 4.0", _MOLECULES, states_charge=True,
    ),
    "omol25-non-neutral": _Data(
        _OMOL_THEORY, _ORCA, "Open Molecules 2025, by its name the ions", _OMOL, "CC BY 4.0",
        _MOLECULES, states_charge=True,
    ),
    "opoly2026": _Data(
        _OMOL_THEORY, _ORCA, "Open Polymers 2026: clusters of polymers",
        "Levine et al., arXiv:2512.23117", "CC BY 4.0", _MOLECULES, states_charge=True,
    ),
    "nabla2dft": _Data(
        "ωB97X-D/def2-SVP", "Psi4", "∇²DFT: conformers of drug-like molecules",
        "Khrabrov et al., arXiv:2406.14347", "MIT (of the repository)", _MOLECULES,
        (*_ORGANIC, "F", "S", "Cl", "Br"),
    ),
    "qcml": _Data(
        "PBE0, no dispersion", "FHI-aims", "QCML: molecules of up to eight heavy atoms",
        "Ganscha et al., Sci. Data 12, 406 (2025)", "CC BY-NC 4.0", _MOLECULES,
        not_for=("ions and radicals: HydraGNN gave 0 and 1 for all of them",),
    ),
    "qm7x": _Data(
        "PBE0, tight numeric basis", "FHI-aims", "QM7-X: molecules of up to seven heavy atoms",
        "Hoja et al., Sci. Data 8, 43 (2021)", "CC BY 4.0 (not verified)", _MOLECULES,
        (*_ORGANIC, "S", "Cl"),
    ),
    "transition1x": _Data(
        "wB97X/6-31G(d)", _ORCA, "Transition1x: reaction paths",
        "Schreiner et al., Sci. Data 9, 779 (2022)", "MIT (not verified)", _MOLECULES, _ORGANIC,
    ),
}  # fmt: skip
"""By head name; the place is the number of the branch."""


def release_head(name: str) -> dict[str, Any]:
    """Fields of `HeadInfo` of a branch of the release.

    Charge and multiplicity are refused where HydraGNN always said 0 and 1, whatever the structure
    was: the network has not learned what other numbers mean there.
    """
    data = RELEASE[name]
    fields: dict[str, Any] = {
        "title": data.data,
        "theory": data.theory,
        "code": data.code,
        "data": data.data,
        "source": data.source,
        "licence": data.licence,
        "periodicity": data.periodicity,
        "elements": dict.fromkeys(data.elements, 1),
        "elements_known": bool(data.elements),
        "not_for": (*data.not_for, *NOT_FOR),
    }
    if data.states_charge:
        fields |= {
            "uses_charge": True,
            "charges": STATED_CHARGES,
            "multiplicities": STATED_MULTIPLICITIES,
        }
    return fields


def unknown_head(name: str) -> dict[str, Any]:
    """Fields of `HeadInfo` of a branch that nothing is known about."""
    return {
        "title": f"{name} of a HydraGNN run",
        "theory": "not stated by the run",
        "code": "not stated by the run",
        "data": "not stated by the run",
        "source": "not stated by the run",
        "licence": "not stated by the run",
        "periodicity": (),
        "elements": {},
        "elements_known": False,
        "not_for": NOT_FOR,
    }


def head_info(name: str, changes: dict[str, Any], *, is_release: bool) -> dict[str, Any]:
    """All fields of a head's card; `changes` replace what is known here."""
    known = release_head(name) if is_release else unknown_head(name)
    common = {"n_structures": {}, "labels": {}, "energy_zero": ENERGY_ZERO}
    return {**common, **known, **changes}
