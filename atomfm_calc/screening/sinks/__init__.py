"""Formats of rows by name; a block is written completely or not at all."""

from __future__ import annotations

from atomfm_calc.packages import require
from atomfm_calc.screening.sinks.sink import Sink


def _parquet() -> Sink:
    from atomfm_calc.screening.sinks.parquet import ParquetSink

    return ParquetSink()


def _adios2() -> Sink:
    require("adios2")
    from atomfm_calc.screening.sinks.adios2 import Adios2Sink  # here: only who asks needs ADIOS2

    return Adios2Sink()


SINKS = {"parquet": _parquet, "adios2": _adios2}
"""Name -> maker; files of any sink are read back by it."""
