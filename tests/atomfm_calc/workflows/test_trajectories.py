"""Radial distribution and diffusion of trajectories whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from atomfm_calc.errors import ConfigError, DataError, PropertyError
from atomfm_calc.workflows.trajectories import (
    DiffusionSettings,
    RadialSettings,
    diffusion,
    radial_distribution,
)


def test_a_crystal_has_its_shells() -> None:
    result = radial_distribution([bulk("Cu", a=3.6)], RadialSettings(max_distance=4.4, n_bins=440))
    assert result.first_peak == pytest.approx(3.6 / np.sqrt(2.0), abs=0.01)
    at = dict(zip(result.distances.round(3), result.coordination, strict=True))
    assert (at[2.405], at[3.105], at[4.005]) == (0.0, 12.0, 18.0)


def test_atoms_spread_evenly_have_a_flat_distribution() -> None:
    random = np.random.default_rng(0)
    frames = [
        Atoms("Ar60", random.uniform(0, 10, (60, 3)), cell=[10, 10, 10], pbc=True)
        for _ in range(15)
    ]
    result = radial_distribution(frames, RadialSettings(max_distance=5.0, n_bins=5))
    # 15 frames x 1770 pairs x the share of the last shells (0.15, 0.26): 4000 and 6800 counts
    assert result.radial_distribution[3:] == pytest.approx([1.0, 1.0], abs=0.05)
    assert result.n_frames == 15


def test_pairs_of_elements_are_counted_for_themselves() -> None:
    salt = [bulk("NaCl", "rocksalt", a=5.6)]
    unlike = radial_distribution(salt, RadialSettings(max_distance=3.0, elements=("Na", "Cl")))
    like = radial_distribution(salt, RadialSettings(max_distance=4.1, elements=("Na", "Na")))
    assert unlike.coordination[-1] == 6.0
    assert like.coordination[-1] == 12.0
    with pytest.raises(DataError, match="no O in ClNa"):
        radial_distribution(salt, RadialSettings(elements=("Na", "O")))


def walk(n_frames: int, *, wrapped: bool) -> list[Atoms]:
    """Steps of 0.1 Å in each direction per 5 fs for hydrogen, none for platinum."""
    random = np.random.default_rng(1)
    atoms = Atoms("H150Pt50", random.uniform(0, 8, (200, 3)), cell=[8, 9, 10], pbc=True)
    frames = []
    for frame in range(n_frames):
        atoms.positions[:150] += 0.1 * random.standard_normal((150, 3))
        one = atoms.copy()
        if wrapped:
            one.wrap()
        one.info["md_time_fs"] = 5.0 * frame
        frames.append(one)
    return frames


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_random_walk_diffuses_as_its_steps_say(wrapped: bool) -> None:
    result = diffusion(walk(120, wrapped=wrapped))
    # D = s² / (2 t) per direction = 0.01 Å² / 10 fs = 1e-3 cm²/s x 0.1
    expected = 0.1**2 / (2.0 * 5.0) * 0.1
    assert result.diffusion_cm2_per_s["H"] == pytest.approx(expected, rel=0.1)
    assert (
        abs(result.diffusion_cm2_per_s["H"] - expected) < 4.0 * result.standard_error_cm2_per_s["H"]
    )
    assert result.diffusion_cm2_per_s["Pt"] < 0.01 * expected
    assert result.lags_fs[1] == 5.0


def test_what_a_trajectory_cannot_tell_is_refused() -> None:
    frames = walk(40, wrapped=False)
    with pytest.raises(DataError, match="20 frames are too few"):
        diffusion(frames[:20])
    frames[-1].info["md_time_fs"] = 500.0
    with pytest.raises(DataError, match="must be even"):
        diffusion(frames)
    del frames[0].info["md_time_fs"]
    with pytest.raises(DataError, match="how far apart they are in time"):
        diffusion(frames)
    frames[5].set_cell([8, 9, 11])
    with pytest.raises(DataError, match="frame 5 has another cell"):
        diffusion(frames, frame_time_fs=1.0)
    with pytest.raises(PropertyError, match="needs a density"):
        radial_distribution([molecule("N2")])
    with pytest.raises(ConfigError, match="n_blocks is 1"):
        DiffusionSettings(n_blocks=1)
