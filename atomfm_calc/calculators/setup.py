"""What a calculator is built from: settings, and checks of model, head, device and precision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from atomfm_calc.calculators.packing import pack_model, unpack_model
from atomfm_calc.errors import SetupError, UnknownArgumentError, lookup
from atomfm_calc.kernels import KERNELS, best_kernel
from atomfm_calc.models.precision import dense_dtype, set_dense_dtype
from atomfm_calc.registry.card import ModelCard
from atomfm_calc.registry.catalog import SHIPPED, LoadedModel, load_model

DEFAULT_MODEL = "painn-lead"
MIXTURE = "mixture"
"""What `head` is called for all heads together, see `calculators.mixture`."""
OUTSIDE_GATE = ("warn", "error")
ON_UNCERTAIN = ("ignore", "warn", "raise")

DTYPES: dict[str, torch.dtype] = {"float32": torch.float32, "float64": torch.float64}
"""Precisions of the network; energies are summed in float64 in both."""


class Products(NamedTuple):
    """What products of float32 matrices are computed in; everything else stays float32."""

    tf32: bool
    """On a CUDA device, in TF32"""
    dense: torch.dtype | None
    """Of the backbone's dense layers; None: as all others"""


MATMUL_PRECISIONS: dict[str, Products] = {
    "highest": Products(tf32=False, dense=None),
    "tf32": Products(tf32=True, dense=None),
    "bf16": Products(tf32=False, dense=torch.bfloat16),
}
"""Names of `matmul_precision`. With all but "highest" forces are off by rounding that no longer is
negligible, so energy drifts in dynamics; heads, references and sums are never rounded to bf16."""
BF16_BACKBONES = ("painn", "hydra_painn")
"""Families whose dense layers can compute in bfloat16."""

HEAD_SYNONYMS = ("task_name", "task", "modal", "variant", "dataset", "fidelity")
"""What other calculators call the head."""
OTHER_SYNONYMS = {
    "model_path": "model",
    "model_paths": "model",
    "checkpoint": "model",
    "dtype": "default_dtype",
    "precision": "default_dtype",
    "total_charge": "charge",
    "spin": "multiplicity",
    "spin_multiplicity": "multiplicity",
    "total_spin": "multiplicity",
}
"""Arguments of other calculators, and ours."""


@dataclass(frozen=True, kw_only=True)
class CalculatorSettings:
    """The arguments of `FoundationCalc`, as given."""

    head: str | None = None
    """None: the card's default head."""
    device: str = "auto"
    """"auto" is CUDA if there is one, else the CPU."""
    default_dtype: str = "float32"
    """Key of `DTYPES`."""
    charge: int | None = None
    """Total charge of every structure, e; None: `atoms.info` says, or 0."""
    multiplicity: int | None = None
    """2S+1 of every structure; None: `atoms.info` says, or 1."""
    kernel: str | None = None
    """Key of `KERNELS`; None: the fastest for the device."""
    matmul_precision: str = "highest"
    """Key of `MATMUL_PRECISIONS`; reduced ones go with float32, "tf32" with a CUDA device."""
    cuda_graph: bool = False
    """Record the operations of one structure's step on a GPU and replay them, see `captured_step`;
    for dynamics of PaiNN models with one head."""
    deterministic: bool = False
    """The same bits again on the same device and versions, at a cost on CUDA devices; CPUs give
    them anyway, for one number of threads."""
    skin: float = 0.5
    """Å by which the neighbor list reaches farther than the cutoff, to be reused."""
    allow_unseen_elements: bool = False
    """Compute elements that the head was not trained on."""
    outside_gate: Literal["warn", "error"] = "warn"
    """What to do with compositions unlike those that the weights of a mixture were fitted to."""
    on_uncertain: Literal["ignore", "warn", "raise"] = "ignore"
    """What to do with an energy more uncertain than `max_uncertainty`: nothing, say so in the log,
    or raise UncertainError."""
    max_uncertainty: float | None = None
    """eV/atom, one standard deviation; None: what 95 % of the head's held-out structures keep."""

    def __post_init__(self) -> None:
        lookup(DTYPES, self.default_dtype, "default_dtype")
        lookup(MATMUL_PRECISIONS, self.matmul_precision, "matmul_precision")
        if self.matmul_precision != "highest" and self.default_dtype != "float32":
            raise SetupError(
                f"matmul_precision={self.matmul_precision!r} is about products of float32 numbers, "
                f"and default_dtype is {self.default_dtype!r}; use 'highest', or 'float32'"
            )
        for name in ("charge", "multiplicity"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, Integral)):
                raise SetupError(f"{name} is {value!r}; it must be a whole number or None")
        if self.outside_gate not in OUTSIDE_GATE:
            raise SetupError(
                f"outside_gate is {self.outside_gate!r}; use {' or '.join(map(repr, OUTSIDE_GATE))}"
            )
        if self.on_uncertain not in ON_UNCERTAIN:
            raise SetupError(
                f"on_uncertain is {self.on_uncertain!r}; use {', '.join(map(repr, ON_UNCERTAIN))}"
            )
        if self.max_uncertainty is not None and not self.max_uncertainty > 0.0:
            raise SetupError(
                f"max_uncertainty is {self.max_uncertainty} eV/atom; it must be above 0, or None"
            )
        if self.max_uncertainty is not None and self.on_uncertain == "ignore":
            raise SetupError(
                f"max_uncertainty is {self.max_uncertainty} eV/atom, but on_uncertain says to "
                "ignore it; set on_uncertain='warn' or 'raise'"
            )
        if not 0.0 <= self.skin <= 5.0:
            raise SetupError(f"skin is {self.skin} Å; it must be between 0 and 5")
        if self.multiplicity is not None and self.multiplicity < 1:
            raise SetupError(
                f"multiplicity is {self.multiplicity}; it is 2S+1, so 1 for closed shells"
            )

    @property
    def products(self) -> Products:
        """What `matmul_precision` stands for."""
        return MATMUL_PRECISIONS[self.matmul_precision]


def refuse_unknown_arguments(unknown: Iterable[str], known: Iterable[str]) -> None:
    """Raise for arguments that do not exist and say which to use instead.

    Raises:
        UnknownArgumentError: there is an unknown argument; also a TypeError.
    """
    known = tuple(known)
    for name in unknown:
        if name in HEAD_SYNONYMS:
            hint = f"use head= instead of {name}="
        elif name in OTHER_SYNONYMS:
            hint = f"use {OTHER_SYNONYMS[name]}= instead"
        else:
            hint = f"arguments: {', '.join(known)}"
        raise UnknownArgumentError(f"FoundationCalc has no argument {name!r}; {hint}")


def resolve_device(device: str | torch.device) -> torch.device:
    """The torch device of a name: "auto", "cpu", "cuda", "cuda:1".

    Raises:
        SetupError: no such device, none present, or one without float64.
    """
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise SetupError(f"device {device!r}: use 'auto', 'cpu', 'cuda' or 'cuda:N'") from error
    if chosen.type not in ("cpu", "cuda"):
        raise SetupError(
            f"device {device!r}: energies are summed in float64, which needs 'cpu' or 'cuda'"
        )
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise SetupError(
            f"device {device!r}: torch sees {torch.cuda.device_count()} CUDA devices here; "
            "use device='cpu' or 'auto'"
        )
    return chosen


def resolve_head(card: ModelCard, head: str | None) -> str:
    """The one head resolver: a name of the card, or the card's default for None.

    Raises:
        SetupError: "mixture" of a model without a gate, or "all", which is no head.
        UnknownNameError: no such head; lists what there is.
    """
    if not card.heads:
        raise SetupError(
            f"{card.label} has no energy head; it predicts {', '.join(card.properties)}: "
            "use predict_many(structures, model, properties=[...])"
        )
    if head is None:
        return card.default_head
    if head == MIXTURE:
        if card.gate_sha256 is None:
            raise SetupError(
                f"head='mixture' weighs all heads by a gate, and {card.label} has none; make one "
                f"(python -m training gate MODEL --data RUN --out FOLDER), or choose one of: "
                f"{', '.join(card.heads)}"
            )
        return MIXTURE
    if head == "all":
        raise SetupError(
            "head='all' is no level of theory; choose one head, or use "
            "calc.evaluate_heads(atoms, heads='all') to compare them"
        )
    card.head(head)
    return head


def prepare_model(model: str | Path | LoadedModel, settings: CalculatorSettings) -> LoadedModel:
    """Load a model, unless it is loaded, and bring it to device, precision and kernel.

    A loaded model that already fits is shared; one that does not is copied, never changed.

    Raises:
        UnknownNameError, WeightsError, ConfigError: see `load_model`.
        SetupError: a device that is not there, or a kernel or precision of another device.
    """
    device, dtype = resolve_device(settings.device), DTYPES[settings.default_dtype]
    kernel = settings.kernel or best_kernel(device.type)
    _check_device(settings, device, kernel)
    if not isinstance(model, LoadedModel):
        return _converted(load_model(model, kernel), device, settings)
    backbone = model.model.backbone
    parameter = next(backbone.parameters())
    present = (parameter.device, parameter.dtype, model.model.kernel, dense_dtype(backbone))
    if present == (device, dtype, kernel, settings.products.dense):
        return model
    return _converted(unpack_model(pack_model(model), kernel), device, settings)


def _check_device(settings: CalculatorSettings, device: torch.device, kernel: str) -> None:
    lookup(KERNELS, kernel, "kernel")
    if kernel not in ("reference", device.type):
        raise SetupError(
            f"kernel {kernel!r} does not run on device {device.type!r}; "
            "use kernel='reference' or None"
        )
    if settings.products.tf32 and device.type != "cuda":
        raise SetupError(
            f"matmul_precision 'tf32' is a format of CUDA devices, not of {device.type!r}; "
            "use 'highest'"
        )
    if settings.cuda_graph and (device.type != "cuda" or settings.head == MIXTURE):
        raise SetupError(
            f"cuda_graph records what one head does on a CUDA device; device is {device.type!r}, "
            f"head {settings.head!r}: leave it out"
        )


def _converted(
    loaded: LoadedModel, device: torch.device, settings: CalculatorSettings
) -> LoadedModel:
    model = loaded.model.to(device=device, dtype=DTYPES[settings.default_dtype])
    dense, family = settings.products.dense, model.architecture.backbone
    if dense is not None and family not in BF16_BACKBONES:
        raise SetupError(
            f"the dense layers of backbone {family!r} do not compute in bfloat16, as those of "
            f"{' and '.join(BF16_BACKBONES)} do; use matmul_precision='highest'"
        )
    if settings.cuda_graph and family != "painn":
        raise SetupError(f"cuda_graph is for backbone 'painn', not {family!r}; leave it out")
    if dense is not None:
        set_dense_dtype(model.backbone, dense)
    return replace(loaded, model=model)


def model_address(loaded: LoadedModel) -> str:
    """The text that finds the same model again: name and version if shipped, else the folder."""
    if loaded.folder.parent == SHIPPED:
        return loaded.folder.name
    return str(loaded.folder.resolve())
