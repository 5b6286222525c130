"""Matrix products and activations inside of compiled loops.

A loop that multiplies a few rows by itself needs no library, no thread of its own and no room: its
numbers stay in cache between one step of a layer and the next. Three rows and four columns at a
time use all vector registers; for the matrices of a network it is about as fast as MKL.
"""

from __future__ import annotations

import math

from atomfm_calc.kernels.cpu_loops import COMPILE, COMPILE_EXACTLY, Array

_ROWS = 3
_COLUMNS = 4
PANEL = 256_000
"""Bytes of the rows of B that stay in the second cache while all rows of A pass by."""
PER_LN_2 = 1.0 / math.log(2.0)
LN_2_HIGH = (0.693359375, 0.693147180369123816490)
"""The first digits of ln 2, so that whole multiples are exact in float32 and float64"""
LN_2_LOW = (math.log(2.0) - LN_2_HIGH[0], 1.90821492927058770002e-10)
"""What remains of it"""
INVERSE_FACTORIALS = tuple(1.0 / math.factorial(n) for n in range(14))
"""Of the exponential series: up to (ln 2)/2 it is good to 6e-9 with order 7, to 5e-18 with 13."""


@COMPILE
def _add_three_rows(first: int, last: int, A: Array, B: Array, C: Array, i: int) -> None:
    """Rows i, i + 1, i + 2 of C from columns `first` to `last` of A."""
    a0, a1, a2 = A[i], A[i + 1], A[i + 2]
    c0, c1, c2 = C[i], C[i + 1], C[i + 2]
    whole = last - (last - first) % _COLUMNS
    for k in range(first, whole, _COLUMNS):
        p0, p1, p2, p3 = a0[k], a0[k + 1], a0[k + 2], a0[k + 3]
        q0, q1, q2, q3 = a1[k], a1[k + 1], a1[k + 2], a1[k + 3]
        r0, r1, r2, r3 = a2[k], a2[k + 1], a2[k + 2], a2[k + 3]
        b0, b1, b2, b3 = B[k], B[k + 1], B[k + 2], B[k + 3]
        for f in range(len(c0)):
            x0, x1, x2, x3 = b0[f], b1[f], b2[f], b3[f]
            c0[f] += p0 * x0 + p1 * x1 + p2 * x2 + p3 * x3
            c1[f] += q0 * x0 + q1 * x1 + q2 * x2 + q3 * x3
            c2[f] += r0 * x0 + r1 * x1 + r2 * x2 + r3 * x3
    for k in range(whole, last):
        p, q, r, b = a0[k], a1[k], a2[k], B[k]
        for f in range(len(c0)):
            x = b[f]
            c0[f] += p * x
            c1[f] += q * x
            c2[f] += r * x


@COMPILE
def _add_one_row(first: int, last: int, A: Array, B: Array, C: Array, i: int) -> None:
    a, c = A[i], C[i]
    whole = last - (last - first) % _COLUMNS
    for k in range(first, whole, _COLUMNS):
        p0, p1, p2, p3 = a[k], a[k + 1], a[k + 2], a[k + 3]
        b0, b1, b2, b3 = B[k], B[k + 1], B[k + 2], B[k + 3]
        for f in range(len(c)):
            c[f] += p0 * b0[f] + p1 * b1[f] + p2 * b2[f] + p3 * b3[f]
    for k in range(whole, last):
        p, b = a[k], B[k]
        for f in range(len(c)):
            c[f] += p * b[f]


@COMPILE
def add_product(first: int, last: int, A: Array, B: Array, C: Array) -> None:
    """Add A B to C, in rows `first` to `last` of A [., K] and C [., N], for B [K, N]."""
    n_together = (last - first) // _ROWS * _ROWS
    panel = max(1, PANEL // (B.itemsize * B.shape[1] * _COLUMNS)) * _COLUMNS
    for begin in range(0, len(B), panel):
        end = min(begin + panel, len(B))
        for i in range(first, first + n_together, _ROWS):
            _add_three_rows(begin, end, A, B, C, i)
        for i in range(first + n_together, last):
            _add_one_row(begin, end, A, B, C, i)


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
