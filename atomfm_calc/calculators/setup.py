"""What a calculator is built from: settings, and checks of model, head, device and precision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import Literal

import torch

from atomfm_calc.calculators.packing import pack_model, unpack_model
from atomfm_calc.errors import SetupError, UnknownArgumentError, lookup
from atomfm_calc.kernels import KERNELS, best_kernel
from atomfm_calc.registry.card import ModelCard
from atomfm_calc.registry.catalog import SHIPPED, LoadedModel, load_model

DEFAULT_MODEL = "painn-lead"
MIXTURE = "mixture"
"""What `head` is called for all heads together, see `calculators.mixture`."""
OUTSIDE_GATE = ("warn", "error")

DTYPES: dict[str, torch.dtype] = {"float32": torch.float32, "float64": torch.float64}
"""Precisions of the network; energies are summed in float64 in both."""

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
    skin: float = 0.5
    """Å by which the neighbor list reaches farther than the cutoff, to be reused."""
    allow_unseen_elements: bool = False
    """Compute elements that the head was not trained on."""
    outside_gate: Literal["warn", "error"] = "warn"
    """What to do with compositions unlike those that the weights of a mixture were fitted to."""

    def __post_init__(self) -> None:
        lookup(DTYPES, self.default_dtype, "default_dtype")
        for name in ("charge", "multiplicity"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, Integral)):
                raise SetupError(f"{name} is {value!r}; it must be a whole number or None")
        if self.outside_gate not in OUTSIDE_GATE:
            raise SetupError(
                f"outside_gate is {self.outside_gate!r}; use {' or '.join(map(repr, OUTSIDE_GATE))}"
            )
        if not 0.0 <= self.skin <= 5.0:
            raise SetupError(f"skin is {self.skin} Å; it must be between 0 and 5")
        if self.multiplicity is not None and self.multiplicity < 1:
            raise SetupError(
                f"multiplicity is {self.multiplicity}; it is 2S+1, so 1 for closed shells"
            )


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
        SetupError: a device that is not there, or a kernel of another device.
    """
    device, dtype = resolve_device(settings.device), DTYPES[settings.default_dtype]
    kernel = settings.kernel or best_kernel(device.type)
    lookup(KERNELS, kernel, "kernel")
    if kernel not in ("reference", device.type):
        raise SetupError(
            f"kernel {kernel!r} does not run on device {device.type!r}; "
            "use kernel='reference' or None"
        )
    if not isinstance(model, LoadedModel):
        return _converted(load_model(model, kernel), device, dtype)
    parameter = next(model.model.backbone.parameters())
    if (parameter.device, parameter.dtype, model.model.kernel) == (device, dtype, kernel):
        return model
    return _converted(unpack_model(pack_model(model), kernel), device, dtype)


def _converted(loaded: LoadedModel, device: torch.device, dtype: torch.dtype) -> LoadedModel:
    return replace(loaded, model=loaded.model.to(device=device, dtype=dtype))


def model_address(loaded: LoadedModel) -> str:
    """The text that finds the same model again: name and version if shipped, else the folder."""
    if loaded.folder.parent == SHIPPED:
        return loaded.folder.name
    return str(loaded.folder.resolve())
