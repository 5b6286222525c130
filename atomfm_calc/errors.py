"""Every error of atomfm, and the one lookup that names what exists.

A message says what came, what is allowed and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

from ase.calculators.calculator import (
    CalculationFailed,
    CalculatorSetupError,
    InputError,
    PropertyNotImplementedError,
)

Entry = TypeVar("Entry")


class AtomFMError(Exception):
    """Parent of every error that atomfm raises on purpose."""


class UnknownNameError(AtomFMError, ValueError):
    """A name that is in no table: a head, model, dataset, backbone, kernel."""


class ConfigError(AtomFMError, ValueError):
    """A configuration file with an unknown key, a missing key or a wrong value."""


class DataError(AtomFMError, ValueError):
    """A structure or label that cannot be right: wrong shape, not finite, unknown unit."""


class StructureError(AtomFMError, InputError):
    """A structure that nothing can be computed for: no atoms, NaN, overlapping atoms, flat cell."""


class UnsupportedElementError(StructureError):
    """An element that the chosen head was not trained on."""


class UnknownCompositionError(StructureError):
    """A composition unlike those that the weights of a mixture were fitted to."""


class ChargeError(StructureError):
    """A charge or multiplicity that the chosen head was not trained on, or that cannot exist."""


class PropertyError(AtomFMError, PropertyNotImplementedError):
    """A property that is not defined for this structure or head, such as stress of a molecule."""


class SetupError(AtomFMError, CalculatorSetupError):
    """A calculator that was built with arguments it does not have."""


class UnknownArgumentError(SetupError, TypeError):
    """A calculator argument that does not exist; says which one does."""


class NonFiniteError(AtomFMError, CalculationFailed):
    """A calculation whose result is NaN or infinite."""


class UncertainError(AtomFMError, CalculationFailed):
    """An energy whose uncertainty is above the limit that the user set."""


class InsufficientMemoryError(AtomFMError, CalculationFailed):
    """A calculation that does not fit into the memory of its device."""


class WeightsError(AtomFMError, ValueError):
    """A model file that is damaged, of an unknown format, or does not match its card."""


class NoModelError(WeightsError):
    """A path that was given for a model, and is no model folder."""


class TrainingError(AtomFMError, RuntimeError):
    """A training run that cannot go on: a loss that is not finite, a checkpoint of another run."""


class NonFiniteLossError(TrainingError):
    """A loss or gradient that is NaN or infinite."""


class WorkflowError(AtomFMError, RuntimeError):
    """A workflow without a result: not converged, or no minimum among the volumes."""


class LabelError(AtomFMError, RuntimeError):
    """A label engine that gave no result: not converged, missing program, unsupported element."""


MAX_NAMES_LISTED = 40


def listing(names: Iterable[str]) -> str:
    """Names in the order given, separated by commas; "nothing" if none, the number beyond 40."""
    every = list(names)
    more = len(every) - MAX_NAMES_LISTED
    shown = [*every[:MAX_NAMES_LISTED], f"and {more} more"] if more > 0 else every
    return ", ".join(shown) or "nothing"


def lookup(table: Mapping[str, Entry], name: object, what: str, owner: str = "atomfm") -> Entry:
    """The entry `name` of a table chosen by name.

    Args:
        table: what exists.
        name: what was asked for.
        what: the kind of thing, for the message ("head", "backbone").
        owner: who has the table, for the message ("painn-lead").

    Raises:
        UnknownNameError: `name` is not in the table; the message lists all and the nearest name.
    """
    if isinstance(name, str) and name in table:
        return table[name]
    near = get_close_matches(str(name), list(table), n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UnknownNameError(f"no {what} {name!r}; {owner} has: {listing(table)}.{hint}")
