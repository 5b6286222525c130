"""`examine`: run the contract on a calculator; `find_factory`: find the calculator by name."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module, metadata
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError

from atomfm_calc.conformance import CHECKS
from atomfm_calc.conformance.outcome import CheckResult, NotApplicableError, ReportCard, judge
from atomfm_calc.conformance.subject import Factory, Subject, reason_of
from atomfm_calc.errors import SetupError, lookup


def examine(
    name: str,
    make: Factory,
    structures: Mapping[str, Atoms] | None = None,
    *,
    precision: str | None = None,
    checks: Iterable[str] | None = None,
    on_check: Callable[[str], None] | None = None,
) -> ReportCard:
    """Run checks of the contract on a calculator.

    Args:
        name: of the calculator, for the report card.
        make: makes a new calculator; is called some twenty times.
        structures: that the calculator is meant for, by name; None: those of `structures`.
        precision: key of `PRECISIONS`; None: probed.
        checks: keys of `CHECKS`; None: all.
        on_check: is told the name of each check that is done.

    Raises:
        UnknownNameError: no such precision or check.
        DataError: the calculator computes none of the structures.
    """
    chosen = list(CHECKS if checks is None else checks)
    for check in chosen:
        lookup(CHECKS, check, "check", "the conformance kit")
    subject = Subject(make, structures, precision)
    results = []
    for check in chosen:
        results.append(run_check(check, subject))
        if on_check is not None:
            on_check(check)
    return report_card(name, subject, tuple(results))


def run_check(check: str, subject: Subject) -> CheckResult:
    """One check of a subject; whatever the calculator raises is its outcome.

    Raises:
        UnknownNameError: no such check.
    """
    run = lookup(CHECKS, check, "check", "the conformance kit")
    start = time.perf_counter()
    try:
        return judge(check, list(run(subject)), time.perf_counter() - start)
    except (NotApplicableError, PropertyNotImplementedError) as error:
        outcome, reason = "not applicable", str(error)
    except Exception as error:  # other people's calculators raise anything
        outcome, reason = "failed", f"raised {reason_of(error)}"
        subject.calculator = subject.make()
    return CheckResult(
        check=check,
        status="failed" if outcome == "failed" else "not applicable",
        worst=None,
        deviations=(),
        reason=reason,
        seconds=time.perf_counter() - start,
    )


def report_card(name: str, subject: Subject, results: tuple[CheckResult, ...]) -> ReportCard:
    """The card of a subject with the outcomes of its checks."""
    fingerprint = getattr(subject.calculator, "fingerprint", None)
    return ReportCard(
        calculator=name,
        precision=subject.precision,
        precision_source=subject.precision_source,
        structures={key: atoms.get_chemical_formula() for key, atoms in subject.structures.items()},
        refused=dict(subject.refused),
        versions=_versions(subject),
        fingerprint=None if fingerprint is None else dict(fingerprint()),
        results=results,
    )


def _versions(subject: Subject) -> dict[str, str]:
    """Versions of python, of ase and numpy, and of the package that the calculator is from."""
    package = type(subject.calculator).__module__.partition(".")[0]
    owners = metadata.packages_distributions().get(package, [])
    names = dict.fromkeys(["ase", "numpy", *owners])
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in names}


def find_factory(address: str) -> Factory:
    """What makes the calculator that an address names.

    Args:
        address: "module:name" or "file.py:name"; the name is that of a class or function that can
            be called without arguments.

    Raises:
        SetupError: no such module or name, or nothing that can be called.
    """
    place, separator, name = address.rpartition(":")
    if not separator or not place or not name:
        raise SetupError(
            f"{address!r} names no calculator; write module:factory or file.py:factory, such as "
            "ase.calculators.emt:EMT"
        )
    module = _module(place)
    if not hasattr(module, name):
        raise SetupError(f"{place} has no {name!r}; name a class or function in it")
    factory = getattr(module, name)
    if not callable(factory):
        raise SetupError(
            f"{address} is a {type(factory).__name__}; the checks need new calculators, so name a "
            "class or a function without arguments that makes one"
        )
    found: Factory = factory
    return found


def _module(place: str) -> ModuleType:
    if not place.endswith(".py"):
        try:
            return import_module(place)
        except ImportError as error:
            raise SetupError(
                f"cannot import {place} ({error}); install it, or give a file: file.py:factory"
            ) from error
    path = Path(place)
    spec = spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise SetupError(f"there is no Python file {place}")
    if str(path.parent.resolve()) not in sys.path:  # as for a script: its neighbors can be imported
        sys.path.insert(0, str(path.parent.resolve()))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
