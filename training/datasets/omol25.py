"""OMol25 and OPoly26: molecules, ions and radicals at one level of theory, ωB97M-V/def2-TZVPD.

`charge` and `spin` (which is the multiplicity 2S+1) stand with every structure; a record without
them is refused, as it would be learned as a neutral singlet. The two halves by charge are taken
from the same files: their records keep their numbers. The source publishes a selection of its own
under the name neutral (neutral_train.tar.gz), which is smaller than what has charge 0.
The test set has no labels and is refused record by record.
"""

from __future__ import annotations

from dataclasses import replace

from atomfm_calc.sample import Sample
from training.datasets.adapter import DatasetInfo, PublicDataset, Split, Units
from training.datasets.frames import charge_and_spin, labeled_sample
from training.datasets.readers.ase_database import ASE_LMDB
from training.datasets.readers.frame import Frame

_DOWNLOADS = "https://dl.fbaipublicfiles.com/opencatalystproject/data"
_SPLITS: dict[str, Split] = {
    **dict.fromkeys(("train", "train_4M", "neutral_train", "train_neutral"), "train"),
    **dict.fromkeys(("val", "neutral_val", "val_neutral"), "validation"),
    "test": "test",
}
_OVERLAPPING = (
    ("train", "train_4M", "*neutral*train*", "train*neutral*"),
    ("val", "*neutral*val*", "val*neutral*"),
)


def sample_of(frame: Frame) -> Sample:
    """Energy and forces of a molecule with its charge and multiplicity."""
    return labeled_sample(frame, Units(), charge_and_multiplicity=charge_and_spin(frame))


def is_neutral(frame: Frame) -> bool:
    """Whether the total charge is 0, whatever the multiplicity."""
    return charge_and_spin(frame)[0] == 0


def is_charged(frame: Frame) -> bool:
    """Whether the total charge is not 0."""
    return not is_neutral(frame)


_INFO = DatasetInfo(
    name="omol25",
    title="Molecules, ions, metal complexes, biomolecules, electrolytes, 83 elements, ωB97M-V",
    theory="ωB97M-V/def2-TZVPD, nonlocal dispersion",
    code="ORCA 6",
    data="Open Molecules 2025 with all charges and multiplicities",
    source="Levine et al., arXiv:2505.08762",
    licence="CC BY 4.0 (dataset page)",
    redistributable=True,
    energy_zero=(
        "all nuclei and electrons at infinite separation; for elements beyond Kr the electrons "
        "outside the effective core"
    ),
    uses_charge=True,
    doi="10.48550/arXiv.2505.08762",
    size="101,666,280 structures, 456 GB (train); 3,986,754, 19 GB (train_4M); val 2,762,021",
    obtain=(
        f"wget {_DOWNLOADS}/omol/250514/train_4M.tar.gz (or train.tar.gz, which holds it: take "
        f"one) and {_DOWNLOADS}/omol/250514/val.tar.gz; tar -xzf each of them in a folder omol25"
    ),
    good_for=("molecules, ions, radicals and their reactions", "explicitly solvated systems"),
    not_for=("crystals and surfaces: nothing is periodic", "implicit solvent"),
)

OMOL25 = PublicDataset(
    info=_INFO,
    patterns=("**/*.aselmdb",),
    folder="omol25",
    format=ASE_LMDB,
    sample_of=sample_of,
    splits=_SPLITS,
    overlapping=_OVERLAPPING,
)
OMOL25_NEUTRAL = replace(
    OMOL25,
    info=replace(
        _INFO,
        name="omol25-neutral",
        title="Neutral molecules and radicals of OMol25, ωB97M-V",
        data="the structures of Open Molecules 2025 whose total charge is 0",
        size="a part of omol25; the source's own selection: 34,335,828 structures, 101 GB",
        obtain=(
            f"as omol25; or wget {_DOWNLOADS}/omol/250514/neutral_train.tar.gz and "
            f"{_DOWNLOADS}/omol/250514/neutral_val.tar.gz, the source's selection, instead"
        ),
        not_for=("ions", *_INFO.not_for),
    ),
    keep=is_neutral,
)
OMOL25_NON_NEUTRAL = replace(
    OMOL25,
    info=replace(
        _INFO,
        name="omol25-non-neutral",
        title="Ions of OMol25, ωB97M-V",
        data="the structures of Open Molecules 2025 whose total charge is not 0",
        size="a part of omol25",
        obtain="as omol25",
        good_for=("molecular ions and their reactions", "charged complexes and clusters"),
        not_for=("neutral molecules", *_INFO.not_for),
    ),
    keep=is_charged,
)
OPOLY2026 = PublicDataset(
    info=replace(
        _INFO,
        name="opoly2026",
        title="Clusters of polymers, ωB97M-V",
        data="Open Polymers 2026: oligomers, reactive and solvated ones, an extension of OMol25",
        source="Levine et al., arXiv:2512.23117",
        doi="10.48550/arXiv.2512.23117",
        size="5,902,827 structures (train) and 201,865 (val), 66 GB",
        obtain=(
            f"wget {_DOWNLOADS}/op26/op26_train_val_260302.tar.gz; unpack it in a folder "
            "opoly2026, below which folders train and val are the splits"
        ),
        good_for=("polymers and their fragments",),
    ),
    patterns=("**/*.aselmdb",),
    folder="opoly2026",
    format=ASE_LMDB,
    sample_of=sample_of,
    splits={"train": "train", "val": "validation"},
)
