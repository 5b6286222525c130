"""Matrix products and activations inside of compiled loops.

A loop that multiplies a few rows by itself needs no library, no thread of its own and no room: its
numbers stay in cache between one step of a layer and the next. `cpu_tiles` has the innermost part.
"""

from __future__ import annotations

import math

import numpy as np

from atomfm_calc.kernels import cpu_tiles as tiles
from atomfm_calc.kernels.cpu_loops import COMPILE, COMPILE_EXACTLY, Array, Numbers
from atomfm_calc.kernels.cpu_memory import LINE

INTEGERS = {4: np.int32, 8: np.int64}
"""By bytes of a real number."""
PER_LN_2 = 1.0 / math.log(2.0)
LN_2_HIGH = (0.693359375, 0.693147180369123816490)
"""The first digits of ln 2, so that whole multiples are exact in float32 and float64"""
LN_2_LOW = (math.log(2.0) - LN_2_HIGH[0], 1.90821492927058770002e-10)
"""What remains of it"""
INVERSE_FACTORIALS = tuple(1.0 / math.factorial(n) for n in range(14))
"""Of the exponential series: up to (ln 2)/2 it is good to 6e-9 with order 7, to 5e-18 with 13."""


def packed(B: Array) -> Array:
    """A matrix [K, N] as products want it: [N / lanes, K, lanes], zeros behind the last column."""
    K, N = B.shape
    lanes = LINE // B.itemsize
    n_strips = -(-N // lanes)
    padded = np.zeros((K, n_strips * lanes), B.dtype)
    padded[:, :N] = B
    return np.ascontiguousarray(padded.reshape(K, n_strips, lanes).transpose(1, 0, 2))


@COMPILE
def set_product(first: int, last: int, A: Array, B: Array, C: Array) -> None:
    """Put A B into C, in rows `first` to `last` of A [., K] and C [., N], for `packed` B [K, N]."""
    whole = last - (last - first) % tiles.ROWS
    pairs = last - (last - whole) % 2
    for strip in range(len(B)):
        for i in range(first, whole, tiles.ROWS):
            tiles.set_many(A, B, C, i, strip)
        for i in range(whole, pairs, 2):
            tiles.set_two(A, B, C, i, strip)
        if pairs < last:
            tiles.set_one(A, B, C, pairs, strip)


@COMPILE
def add_product(first: int, last: int, A: Array, B: Array, C: Array) -> None:
    """Add A B to C, as in `set_product`."""
    whole = last - (last - first) % tiles.ROWS
    pairs = last - (last - whole) % 2
    for strip in range(len(B)):
        for i in range(first, whole, tiles.ROWS):
            tiles.add_many(A, B, C, i, strip)
        for i in range(whole, pairs, 2):
            tiles.add_two(A, B, C, i, strip)
        if pairs < last:
            tiles.add_one(A, B, C, pairs, strip)


@COMPILE
def set_rows(first: int, last: int, row: Array, C: Array) -> None:
    """Put `row` into rows `first` to `last` of C."""
    for i in range(first, last):
        c = C[i]
        for f in range(len(row)):
            c[f] = row[f]


@COMPILE
def copy_rows(first: int, last: int, A: Array, C: Array) -> None:
    """Put rows `first` to `last` of A into those of C.

    An assignment of slices does the same, but takes seconds to compile, for its error message.
    """
    for i in range(first, last):
        a, c = A[i], C[i]
        for f in range(len(a)):
            c[f] = a[f]


@COMPILE
def clear_rows(first: int, last: int, C: Array) -> None:
    """Put zeros into rows `first` to `last` of C."""
    zero = C.dtype.type(0)
    for i in range(first, last):
        c = C[i]
        for f in range(len(c)):
            c[f] = zero


@COMPILE_EXACTLY
def sigmoid(x: Array, result: Array, scale: Array, bits: Array) -> None:
    """1 / (1 + exp(-x)) of a row.

    exp(y) = 2^n exp(rest) with a whole n. To add 1.5 x 2^(digits of the mantissa) rounds to whole
    numbers and leaves n in the last bits, from where it is shifted to those of the exponent.

    Args:
        x: [F].
        result: [F].
        scale: [F], is overwritten.
        bits: the memory of `scale` as integers of the same size.
    """
    real = result.dtype.type
    single = real(1.0) + real(1e-10) == real(1.0)  # known when this is compiled
    digits, bias, n_terms = (23, 127, 7) if single else (52, 1023, 13)
    limit = real(87.0 if single else 708.0)
    to_whole = real(1.5 * 2.0**23 if single else 1.5 * 2.0**52)
    high = real(LN_2_HIGH[0] if single else LN_2_HIGH[1])
    low = real(LN_2_LOW[0] if single else LN_2_LOW[1])
    per_ln_2, one = real(PER_LN_2), real(1.0)
    for f in range(len(x)):
        y = -x[f]
        y = y if y < limit else limit
        result[f] = y if y > -limit else -limit
    for f in range(len(x)):
        scale[f] = result[f] * per_ln_2 + to_whole
    for f in range(len(x)):
        n = scale[f] - to_whole
        rest = (result[f] - n * high) - n * low
        series = real(INVERSE_FACTORIALS[n_terms])
        for term in range(n_terms - 1, -1, -1):
            series = series * rest + real(INVERSE_FACTORIALS[term])
        result[f] = series
    for f in range(len(x)):
        bits[f] = (bits[f] + bias) << digits
    for f in range(len(x)):
        result[f] = one / (one + result[f] * scale[f])


@COMPILE
def activate(first: int, last: int, X: Array, result: Array, room: Numbers) -> None:
    """SiLU of rows of X, from row 0 of the result on; `room` is that of `sigmoid`."""
    for i in range(first, last):
        x, y = X[i], result[i - first]
        sigmoid(x, y, *room)
        for f in range(len(x)):
            y[f] *= x[f]


@COMPILE
def activate_gradient(
    first: int, last: int, X: Array, dy: Array, slope: Array, room: Numbers
) -> None:
    """Multiply dy, from its row 0 on, with the slope of SiLU at rows of X."""
    one = X.dtype.type(1)
    for i in range(first, last):
        x, d = X[i], dy[i - first]
        sigmoid(x, slope, *room)
        for f in range(len(x)):
            d[f] *= slope[f] * (one + x[f] * (one - slope[f]))


def bits_like(array: Array) -> Array:
    """An empty array of integers of the size of a real, as which `sigmoid` reads its room."""
    return np.empty(0, INTEGERS[array.dtype.itemsize])
