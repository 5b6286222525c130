"""Small matrix products in vector registers, for compiled loops (the door to Numba's code maker).

A tile is some rows of a product times as many columns as fill a line of cache: 16 float32 or
8 float64. Its sums stay in registers from the first to the last number of a row, which no loop over
arrays makes a compiler do; so the instructions are written down here, for any processor. Measured
on one core of an AMD EPYC (Zen 3), products of 24 to 72 rows with 128 to 384 numbers: 95 GFLOP/s in
float32 and 46 in float64; loops over arrays 50 to 65 and 30, MKL 60 to 80 and 20 to 35.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from atomfm_calc.kernels.cpu_memory import LINE

ROWS = 6
"""Rows of the largest tile: with two numbers per row and column it takes 12 of 16 registers of
32 bytes (x86 without AVX-512), or 24 of 32 of 16 bytes (ARM)."""


def _maker(n_rows: int, *, adds: bool) -> Any:
    """A function that computes a tile of `n_rows` rows, for compiled loops."""

    @intrinsic
    def tile(typingctx: Any, A: Any, B: Any, C: Any, row: Any, strip: Any) -> Any:
        """Rows `row` to `row + n_rows` of A [., K] times B[strip] [K, lanes] to the same of C."""
        if any(getattr(array, "layout", "") != "C" for array in (A, B, C)):
            raise TypingError("tiles take arrays in C order")

        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            arrays = [
                context.make_array(kind)(context, builder, value)
                for kind, value in zip(signature.args[:3], arguments[:3], strict=True)
            ]
            _Tile(context, builder, signature.args[0].dtype, *arrays).write(
                n_rows, arguments[3], arguments[4], adds=adds
            )
            return context.get_dummy_value()

        return types.void(A, B, C, types.intp, types.intp), code

    return tile


class _Tile:
    """Writes the instructions of a tile."""

    def __init__(
        self, context: Any, builder: Any, real: types.Float, A: Any, B: Any, C: Any
    ) -> None:
        """`context` and `builder` are those of Numba; A, B, C its structures of arrays."""
        self.builder = builder
        self.A, self.B, self.C = A, B, C
        self.n_bytes = real.bitwidth // 8
        self.lanes = LINE // self.n_bytes
        self.vector = ir.VectorType(context.get_data_type(real), self.lanes)
        self.whole = context.get_value_type(types.intp)
        self.width = cgutils.unpack_tuple(builder, A.shape)[1]  # K
        self.n_columns = cgutils.unpack_tuple(builder, C.shape)[1]

    def write(self, n_rows: int, row: Any, strip: Any, *, adds: bool) -> None:
        """Sum over K in registers, then put or add the sums to C."""
        builder = self.builder
        rows = [builder.add(row, self.whole(number)) for number in range(n_rows)]
        starts = [builder.gep(self.A.data, [builder.mul(r, self.width)]) for r in rows]
        line = builder.gep(
            self.B.data, [builder.mul(strip, builder.mul(self.width, self.whole(self.lanes)))]
        )
        # the compiler keeps them in registers
        sums = [
            cgutils.alloca_once_value(builder, ir.Constant(self.vector, None))
            for _ in range(n_rows)
        ]
        with cgutils.for_range(builder, self.width) as loop:
            weights = self._load(builder.gep(line, [self._times_lanes(loop.index)]))
            for start, total in zip(starts, sums, strict=True):
                number = self._everywhere(builder.load(builder.gep(start, [loop.index])))
                product = builder.fmul(number, weights, flags=["contract"])
                old = builder.load(total)
                builder.store(builder.fadd(old, product, flags=["contract"]), total)
        first = self._times_lanes(strip)
        left = builder.sub(self.n_columns, first)
        is_whole = builder.icmp_signed(">=", left, self.whole(self.lanes))
        with builder.if_else(is_whole) as (whole_line, part_of_line):
            with whole_line:
                for place, total in zip(self._places(rows, first), sums, strict=True):
                    value = builder.load(total)
                    if adds:
                        value = builder.fadd(self._load(place), value)
                    pointer = builder.bitcast(place, self.vector.as_pointer())
                    builder.store(value, pointer, align=self.n_bytes)
            with part_of_line:
                for place, total in zip(self._places(rows, first), sums, strict=True):
                    self._write_part(place, total, left, adds=adds)

    def _write_part(self, place: Any, total: Any, count: Any, *, adds: bool) -> None:
        """The first `count` numbers of a line."""
        builder = self.builder
        numbers = builder.bitcast(total, self.vector.element.as_pointer())
        with cgutils.for_range(builder, count) as loop:
            target = builder.gep(place, [loop.index])
            value = builder.load(builder.gep(numbers, [loop.index]))
            if adds:
                value = builder.fadd(builder.load(target), value)
            builder.store(value, target)

    def _places(self, rows: list[Any], first: Any) -> list[Any]:
        """Where the tile's rows begin in C."""
        builder = self.builder
        offsets = [builder.add(builder.mul(row, self.n_columns), first) for row in rows]
        return [builder.gep(self.C.data, [offset]) for offset in offsets]

    def _times_lanes(self, number: Any) -> Any:
        return self.builder.mul(number, self.whole(self.lanes))

    def _load(self, place: Any) -> Any:
        """A line from memory, which need not be aligned."""
        pointer = self.builder.bitcast(place, self.vector.as_pointer())
        return self.builder.load(pointer, align=self.n_bytes)

    def _everywhere(self, number: Any) -> Any:
        """A vector that has one number in all places."""
        nothing = ir.Constant(self.vector, ir.Undefined)
        single = self.builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
        places = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(single, nothing, places)


set_many, set_two, set_one = (_maker(n, adds=False) for n in (ROWS, 2, 1))
add_many, add_two, add_one = (_maker(n, adds=True) for n in (ROWS, 2, 1))
