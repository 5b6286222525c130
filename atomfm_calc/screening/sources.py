"""Candidate sources by the kind that a campaign names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from atomfm_calc.errors import lookup
from atomfm_calc.screening.campaign import Candidates
from atomfm_calc.screening.modified import DecoratedSource, RattledSource, SubstitutedSource
from atomfm_calc.screening.random_structures import RandomStructures
from atomfm_calc.screening.readers.files import FileSource
from atomfm_calc.screening.structures import CandidateSource

SOURCES: dict[str, Callable[[Any], CandidateSource]] = {
    "files": lambda settings: FileSource(settings.paths),
    "random": RandomStructures,
    "decorate": DecoratedSource,
    "substitute": SubstitutedSource,
    "rattle": RattledSource,
}
"""Kind -> maker, from the settings of that kind."""


def open_source(candidates: Candidates) -> CandidateSource:
    """The candidates of a campaign; files are counted now, structures are read or made later.

    Raises:
        DataError: a file that is not there, or of no known format.
    """
    return lookup(SOURCES, candidates.kind, "kind of candidates")(candidates)
