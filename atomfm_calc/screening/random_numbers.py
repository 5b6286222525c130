"""Random numbers by address: candidate i has its own, whoever asks and in whatever order.

Philox is a function of a key and a counter. The key says which seed and purpose, the counter which
candidate, so any range of a billion candidates can be drawn at once, anywhere, without the others.

Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC11 (2011).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NUMBERS_PER_COUNT = 4
"""64-bit numbers that Philox makes of one value of its counter."""
PURPOSES = {"random": 1, "placement": 2, "rattle": 3}
"""Keys that keep the numbers of different generators apart."""


def uniform_block(
    seed: int, purpose: str, start: int, stop: int, n_numbers: int
) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1), the same for a candidate in every block: [stop - start, n].

    Args:
        seed: of the campaign.
        purpose: key of `PURPOSES`.
        start: first candidate.
        stop: candidate behind the last.
        n_numbers: n, of each candidate; part of the address.
    """
    per_candidate = -(-n_numbers // NUMBERS_PER_COUNT)
    bits = np.random.Philox(key=[seed, PURPOSES[purpose]], counter=_counter(start * per_candidate))
    raw = bits.random_raw((stop - start) * per_candidate * NUMBERS_PER_COUNT)
    uniform = (raw >> np.uint64(11)) * 2.0**-53
    return np.asarray(uniform.reshape(stop - start, -1)[:, :n_numbers], dtype=np.float64)


def own_generator(seed: int, purpose: str, index: int) -> np.random.Generator:
    """A generator of candidate `index` alone, for as many numbers as it takes."""
    bits = np.random.Philox(key=[seed, PURPOSES[purpose]], counter=[0, index, 0, 0])
    return np.random.Generator(bits)


def _counter(value: int) -> list[int]:
    """The 256-bit counter as four words, lowest first."""
    return [value >> shift & 0xFFFFFFFFFFFFFFFF for shift in (0, 64, 128, 192)]
