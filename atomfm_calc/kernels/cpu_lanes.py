"""Arithmetic with some channels at a time, as instructions for compiled loops.

A loop over channels that reads and writes a dozen rows is preceded by a test, at run time, that
none of them overlaps another, which for a hundred channels takes as long as the loop; and what one
loop leaves for the next goes through memory. `cpu_edges` writes down its instructions with these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError

VECTOR = 32
"""Bytes that are computed at a time: with more, sums and factors do not fit into 16 registers."""


class Lanes:
    """Arithmetic with some channels at a time, or with one."""

    def __init__(self, builder: Any, real: Any, n_lanes: int) -> None:
        """`builder` is that of Numba, `real` the type of a number."""
        self.builder = builder
        self.real = real
        self.n_lanes = n_lanes
        self.kind = real if n_lanes == 1 else ir.VectorType(real, n_lanes)
        self.zero = ir.Constant(self.kind, 0.0 if n_lanes == 1 else None)

    def load(self, row: Any, channel: Any) -> Any:
        """Numbers of a row, which need not be aligned."""
        place = self._pointer(row, channel)
        return self.builder.load(place, align=self._alignment)

    def store(self, row: Any, channel: Any, value: Any) -> None:
        """Numbers into a row."""
        self.builder.store(value, self._pointer(row, channel), align=self._alignment)

    def everywhere(self, number: Any) -> Any:
        """The same number in all lanes."""
        if self.n_lanes == 1:
            return number
        nothing, index = ir.Constant(self.kind, ir.Undefined), ir.IntType(32)
        single = self.builder.insert_element(nothing, number, ir.Constant(index, 0))
        return self.builder.shuffle_vector(single, nothing, self._places([0] * self.n_lanes))

    def times(self, one: Any, other: Any) -> Any:
        """Products."""
        return self.builder.fmul(one, other, flags=("contract",))

    def plus(self, one: Any, other: Any) -> Any:
        """Sums; one with a product becomes a single instruction."""
        return self.builder.fadd(one, other, flags=("contract",))

    def sum_of_products(self, *pairs: tuple[Any, Any]) -> Any:
        """Sum of the products of pairs; long sums in two chains, which do not wait so long."""
        if len(pairs) > 3:
            half = len(pairs) // 2
            parts = self.sum_of_products(*pairs[:half]), self.sum_of_products(*pairs[half:])
            return self.plus(*parts)
        total = self.times(*pairs[0])
        for pair in pairs[1:]:
            total = self.plus(total, self.times(*pair))
        return total

    def add(self, row: Any, channel: Any, *pairs: tuple[Any, Any]) -> None:
        """Add the products of pairs to numbers of a row."""
        total = self.load(row, channel)
        for pair in pairs:
            total = self.plus(total, self.times(*pair))
        self.store(row, channel, total)

    def total(self, value: Any) -> Any:
        """Sum over the lanes."""
        n = self.n_lanes
        while n > 1:
            n //= 2
            halves = [
                self.builder.shuffle_vector(value, value, self._places(range(begin, begin + n)))
                for begin in (0, n)
            ]
            value = self.builder.fadd(*halves)
        if self.n_lanes == 1:
            return value
        return self.builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    def _pointer(self, row: Any, channel: Any) -> Any:
        place = self.builder.gep(row, [channel])
        return place if self.n_lanes == 1 else self.builder.bitcast(place, self.kind.as_pointer())

    @property
    def _alignment(self) -> int:
        return 8 if isinstance(self.real, ir.DoubleType) else 4

    @staticmethod
    def _places(numbers: Sequence[int] | range) -> Any:
        return ir.Constant(ir.VectorType(ir.IntType(32), len(numbers)), list(numbers))


class Arguments:
    """What a function was given, by name, and the loop over its channels."""

    def __init__(
        self, context: Any, builder: Any, signature: Any, values: Sequence[Any], names: str
    ) -> None:
        """`context`, `builder`, `signature` are Numba's; `names` those of the values, in order."""
        self.context, self.builder = context, builder
        self.kinds = dict(zip(names.split(), signature.args, strict=True))
        self.values = dict(zip(names.split(), values, strict=True))
        arrays = [kind for kind in self.kinds.values() if isinstance(kind, types.Array)]
        if any(array.layout != "C" for array in arrays):
            raise TypingError("rows are taken of arrays in C order")
        real = arrays[0].dtype
        self.real = context.get_data_type(real)
        self.whole = context.get_value_type(types.intp)
        self.n_lanes = VECTOR // (real.bitwidth // 8)

    def numbers(self, name: str) -> list[Any]:
        """Those of a tuple."""
        return list(cgutils.unpack_tuple(self.builder, self.values[name]))

    def width(self, name: str) -> Any:
        """Numbers in the last direction of an array."""
        return cgutils.unpack_tuple(self.builder, self._array(name).shape)[-1]

    def rows(self, name: str, index: str, n_rows: int) -> list[Any]:
        """Where the rows of array[index] begin, of an array [., F] or [., n_rows, F]."""
        first = self.builder.mul(self.values[index], self.whole(n_rows))
        return self.rows_from(name, first, n_rows, self.width(name))

    def rows_from(self, name: str, first: Any, n_rows: int, width: Any) -> list[Any]:
        """Where rows begin in memory that is a row of `width` numbers after the other."""
        data = self._array(name).data
        places = [self.builder.add(first, self.whole(row)) for row in range(n_rows)]
        return [self.builder.gep(data, [self.builder.mul(place, width)]) for place in places]

    def over_channels(
        self, width: Any, n_sums: int, code: Callable[[Lanes, Any], Sequence[Any]]
    ) -> list[Any]:
        """Call `code` for all channels, some at a time, then the rest one by one; add its sums."""
        builder, totals = self.builder, [ir.Constant(self.real, 0.0)] * n_sums
        step = self.whole(self.n_lanes)
        n_whole = builder.mul(builder.sdiv(width, step), step)
        ranges = ((self.whole(0), n_whole, self.n_lanes), (n_whole, width, 1))
        for begin, end, n_lanes in ranges:
            lanes = Lanes(builder, self.real, n_lanes)
            sums = [cgutils.alloca_once(builder, lanes.kind) for _ in range(n_sums)]
            for place in sums:
                builder.store(lanes.zero, place)
            steps = (begin, end, self.whole(n_lanes))
            with cgutils.for_range_slice(builder, *steps, inc=True) as (channel, _):
                for place, more in zip(sums, code(lanes, channel), strict=True):
                    builder.store(lanes.plus(builder.load(place), more), place)
            totals = [
                builder.fadd(total, lanes.total(builder.load(place)))
                for total, place in zip(totals, sums, strict=True)
            ]
        return totals

    def _array(self, name: str) -> Any:
        kind, value = self.kinds[name], self.values[name]
        return self.context.make_array(kind)(self.context, self.builder, value)
