"""Exit statuses of `atomfm`, all of them, and which error ends with which."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """What a script learns of a command."""

    DONE = 0
    """There is a result, and it is what was asked for."""
    FAILED = 1
    """It was tried and failed: not converged, not finite, out of memory, damaged files."""
    MISUSED = 2
    """It cannot be done as asked: options, names, files, structures. Nothing was computed."""
    RESUME = 75
    """Stopped by Ctrl-C or SIGTERM; the same command goes on (EX_TEMPFAIL of sysexits.h)."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C or SIGTERM, with nothing to go on from (128 + SIGINT, as shells count)."""


EXIT_STATUS_HELP = (
    "Exit status: 0 done; 1 tried and failed (not converged, damaged); 2 cannot be done as asked "
    "(option, name, file, structure); 75 stopped, and the same command goes on (with --resume, if "
    "it has it); 130 stopped."
)


def status_of(error: Exception) -> ExitStatus | None:
    """The exit status of an error whose message alone tells what to do; None for any other."""
    from ase.calculators.calculator import (
        CalculatorError,
        CalculatorSetupError,
        InputError,
        PropertyNotImplementedError,
    )

    from atomfm_calc.errors import (
        AtomFMError,
        ConfigError,
        DataError,
        NoModelError,
        UnknownNameError,
    )

    misuses = (
        *(UnknownNameError, NoModelError, ConfigError, DataError),
        *(CalculatorSetupError, InputError, PropertyNotImplementedError),  # parents of ours
    )
    if isinstance(error, misuses):
        return ExitStatus.MISUSED
    if isinstance(error, AtomFMError | CalculatorError | OSError):
        return ExitStatus.FAILED
    return None
