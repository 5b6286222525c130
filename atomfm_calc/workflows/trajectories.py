"""What a trajectory tells: distances between atoms, and how fast they wander."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.geometry import find_mic
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from atomfm_calc.errors import ConfigError, DataError, PropertyError
from atomfm_calc.workflows.course import TIME_KEY

CM2_PER_S = 1e-16 / 1e-15
"""cm²/s per Å²/fs."""


@dataclass(frozen=True, kw_only=True)
class RadialSettings:
    """Which distances."""

    max_distance: float = 8.0
    """Å; more than half the cell is allowed, periodic images count"""
    n_bins: int = 200
    """Of equal width."""
    elements: tuple[str, str] | None = None
    """Symbols of center and neighbor; None: all atoms."""

    def __post_init__(self) -> None:
        if not self.max_distance > 0.0 or self.n_bins < 1:
            raise ConfigError(
                f"max_distance {self.max_distance} must be above 0, n_bins {self.n_bins} at least 1"
            )
        for symbol in self.elements or ():
            if symbol not in chemical_symbols[1:]:
                raise ConfigError(f"elements has {symbol!r}, which is no element")


@dataclass(frozen=True, kw_only=True, eq=False)
class RadialResult:
    """A radial distribution function, mean over all frames."""

    distances: NDArray[np.float64]
    """[bins] Å, middles"""
    radial_distribution: NDArray[np.float64]
    """[bins] density of neighbors over their mean density"""
    coordination: NDArray[np.float64]
    """[bins] mean number of neighbors up to the end of the bin"""
    first_peak: float
    """Å, where the distribution is highest"""
    n_frames: int
    """Evaluated."""


def radial_distribution(
    frames: Iterable[Atoms], settings: RadialSettings | None = None
) -> RadialResult:
    """How often distances occur, compared with atoms spread evenly.

    Args:
        frames: structures periodic in three directions; cells may differ.
        settings: None: the defaults.

    Raises:
        PropertyError: a structure without a density.
        DataError: no frames, or none of the elements.
    """
    settings = settings or RadialSettings()
    edges = np.linspace(0.0, settings.max_distance, settings.n_bins + 1)
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)  # [bins] Å³
    relative, neighbors, n_frames = np.zeros(settings.n_bins), np.zeros(settings.n_bins), 0
    for atoms in frames:
        if not atoms.pbc.all():
            raise PropertyError(
                f"a radial distribution needs a density; pbc is {atoms.pbc.tolist()}"
            )
        centers, others = _chosen(atoms, settings.elements)
        first, second, lengths = neighbor_list("ijd", atoms, settings.max_distance)
        counts, _ = np.histogram(lengths[centers[first] & others[second]], edges)
        per_center = counts / centers.sum()
        neighbors += per_center
        # an atom is no neighbor of itself, but its images are: the density counts all atoms
        relative += per_center / (shells * others.sum() / atoms.get_volume())
        n_frames += 1
    if n_frames == 0:
        raise DataError("there are no frames to evaluate")
    relative, middles = relative / n_frames, (edges[1:] + edges[:-1]) / 2.0
    return RadialResult(
        distances=middles,
        radial_distribution=relative,
        coordination=np.cumsum(neighbors) / n_frames,
        first_peak=float(middles[int(relative.argmax())]),
        n_frames=n_frames,
    )


def _chosen(
    atoms: Atoms, elements: tuple[str, str] | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which atoms are centers, and which neighbors."""
    if elements is None:
        every = np.ones(len(atoms), dtype=bool)
        return every, every
    symbols = np.array(atoms.get_chemical_symbols())
    missing = sorted(set(elements) - set(symbols))
    if missing:
        raise DataError(f"no {', '.join(missing)} in {atoms.get_chemical_formula()}")
    return symbols == elements[0], symbols == elements[1]


@dataclass(frozen=True, kw_only=True)
class DiffusionSettings:
    """Which part of the course to fit."""

    fit_from: float = 0.2
    """Shortest lag of the fit, as a part of the longest: before, atoms rattle in place."""
    fit_to: float = 0.8
    """Longest lag of the fit, as a part of the longest."""
    longest_lag: float = 0.5
    """As a part of the course; of longer ones there are too few."""
    n_blocks: int = 4
    """Parts of the course, evaluated each for itself, whose spread gives the error."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.fit_from < self.fit_to <= 1.0 or not 0.0 < self.longest_lag <= 1.0:
            raise ConfigError(
                f"fit_from {self.fit_from} < fit_to {self.fit_to} and longest_lag "
                f"{self.longest_lag} must be parts, between 0 and 1"
            )
        if self.n_blocks < 2:
            raise ConfigError(f"n_blocks is {self.n_blocks}; an error needs at least 2")


@dataclass(frozen=True, kw_only=True, eq=False)
class DiffusionResult:
    """Self-diffusion by Einstein's relation, <|r(t) - r(0)|²> = 6 D t."""

    lags_fs: NDArray[np.float64]
    """[L]"""
    square_displacement: dict[str, NDArray[np.float64]]
    """Symbol -> [L] Å², mean over atoms and starting times, relative to the center of mass"""
    diffusion_cm2_per_s: dict[str, float]
    """By symbol."""
    standard_error_cm2_per_s: dict[str, float]
    """By symbol, from the spread between blocks."""


def diffusion(
    frames: Sequence[Atoms],
    settings: DiffusionSettings | None = None,
    *,
    frame_time_fs: float | None = None,
) -> DiffusionResult:
    """Diffusion coefficients of all elements.

    Args:
        frames: of one run of constant cell, evenly spaced in time, so close that no atom moves by
            half a cell between two; wrapped into the cell or not.
        settings: None: the defaults.
        frame_time_fs: time between frames; None: as `run_dynamics` wrote it.

    Raises:
        DataError: too few frames, uneven times, unlike frames, or no times.
    """
    settings = settings or DiffusionSettings()
    n_needed = 10 * settings.n_blocks
    if len(frames) < n_needed:
        raise DataError(
            f"{len(frames)} frames are too few for {settings.n_blocks} blocks: {n_needed} at least"
        )
    spacing = _spacing_fs(frames) if frame_time_fs is None else frame_time_fs
    places = _unwrapped(frames)  # [T, N, 3]
    symbols = np.array(frames[0].get_chemical_symbols())
    n_lags = int(settings.longest_lag * (len(frames) - 1))
    whole = {
        str(symbol): _square_displacement(places[:, symbols == symbol], n_lags)
        for symbol in np.unique(symbols)
    }
    length = len(frames) // settings.n_blocks
    blocks = [places[i * length : (i + 1) * length] for i in range(settings.n_blocks)]
    errors = {}
    for symbol in whole:
        short = int(settings.longest_lag * (length - 1))
        parts = [
            _slope(_square_displacement(block[:, symbols == symbol], short), spacing, settings)
            for block in blocks
        ]
        errors[symbol] = float(np.std(parts, ddof=1) / np.sqrt(len(parts)))
    return DiffusionResult(
        lags_fs=np.arange(n_lags + 1, dtype=np.float64) * spacing,
        square_displacement=whole,
        diffusion_cm2_per_s={
            symbol: _slope(values, spacing, settings) for symbol, values in whole.items()
        },
        standard_error_cm2_per_s=errors,
    )


def _spacing_fs(frames: Sequence[Atoms]) -> float:
    if any(TIME_KEY not in atoms.info for atoms in frames):
        raise DataError(f"the frames have no {TIME_KEY!r}; say how far apart they are in time")
    times = np.diff([float(atoms.info[TIME_KEY]) for atoms in frames])
    if not np.allclose(times, times[0]) or times[0] <= 0.0:
        raise DataError(
            f"the frames are {times.min():g} to {times.max():g} fs apart; they must be even. Leave "
            "out the last one if the run ended between two records"
        )
    return float(times[0])


def _unwrapped(frames: Sequence[Atoms]) -> NDArray[np.float64]:
    """Positions [T, N, 3] relative to the center of mass, following atoms through the faces."""
    first = frames[0]
    places = np.zeros((len(frames), len(first), 3))
    for time, (before, after) in enumerate(pairwise(frames)):
        if len(after) != len(first) or (after.numbers != first.numbers).any():
            raise DataError(f"frame {time + 1} has other atoms than frame 0")
        if not np.allclose(after.cell.array, first.cell.array, atol=1e-6):
            raise DataError(f"frame {time + 1} has another cell; diffusion needs a constant one")
        steps, _ = find_mic(after.positions - before.positions, first.cell, first.pbc)
        places[time + 1] = places[time] + steps
    masses = first.get_masses()
    center = np.einsum("tnx,n->tx", places, masses) / masses.sum()
    return np.asarray(places - center[:, None])


def _square_displacement(places: NDArray[np.float64], n_lags: int) -> NDArray[np.float64]:
    """[n_lags + 1] Å², mean over atoms and all starting times."""
    mean = [0.0]
    for lag in range(1, n_lags + 1):
        mean.append(float(((places[lag:] - places[:-lag]) ** 2).sum(axis=2).mean()))
    return np.array(mean)


def _slope(
    square_displacement: NDArray[np.float64], spacing_fs: float, settings: DiffusionSettings
) -> float:
    """Diffusion coefficient in cm²/s: a sixth of the slope."""
    n_lags = len(square_displacement) - 1
    part = slice(int(settings.fit_from * n_lags), int(np.ceil(settings.fit_to * n_lags)) + 1)
    lags = spacing_fs * np.arange(n_lags + 1)
    return float(np.polyfit(lags[part], square_displacement[part], 1)[0]) / 6.0 * CM2_PER_S
