"""Random order without a list: the place of any draw in the shuffled order, in no memory.

A Feistel network over the smallest power of two that holds n numbers is a permutation of them;
applying it again until the result is below n makes it one of 0..n-1 (cycle walking: Black and
Rogaway, CT-RSA 2002). So a thousand ranks can each draw their own part of a shuffled order of 10^8
structures that none of them holds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROUNDS = 6
Words = NDArray[np.uint64]


def permute(positions: NDArray[np.int64], n: int, key: int) -> NDArray[np.int64]:
    """Where the order `key` of 0..n-1 has what stands at `positions` [K], each from 0 to n-1."""
    if n == 1:
        return np.zeros_like(positions)
    bits = max((n - 1).bit_length(), 2)
    low_bits = bits // 2
    result = np.asarray(positions, dtype=np.uint64)
    outside = np.ones(len(result), dtype=bool)
    while outside.any():
        result[outside] = _feistel(result[outside], bits - low_bits, low_bits, key)
        outside = result >= n
    return result.astype(np.int64)


def _feistel(values: Words, high_bits: int, low_bits: int, key: int) -> Words:
    """A permutation of 0..2^(high_bits + low_bits)-1; the halves change places in each round."""
    high, low = values >> np.uint64(low_bits), values & _mask(low_bits)
    sizes = (high_bits, low_bits)
    for number in range(ROUNDS):
        mixed = _hash(low, np.uint64((key * ROUNDS + number) % 2**64))
        high, low = low, high ^ (mixed & _mask(sizes[0]))
        sizes = sizes[::-1]
    return (high << np.uint64(sizes[1])) | low


def _mask(bits: int) -> np.uint64:
    return np.uint64((1 << bits) - 1)


def _hash(values: Words, key: np.uint64) -> Words:
    """The finalizer of splitmix64 (Steele, Lea, Flood, OOPSLA 2014) on values and key."""
    with np.errstate(over="ignore"):
        mixed = values + (key + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))
