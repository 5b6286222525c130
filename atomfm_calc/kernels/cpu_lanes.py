"""Messages of one edge and their gradient, in vector registers, for compiled loops.

A loop over channels that reads and writes a dozen rows is preceded by a test, at run time, that
none of them overlaps another, which for a hundred channels takes as long as the loop; and what one
loop leaves for the next goes through memory. So the instructions are written down here, as in
`cpu_tiles`: some channels at a time go through an edge. Letters are those of `cpu_loops`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

VECTOR = 32
"""Bytes that are computed at a time: with more, sums and factors do not fit into 16 registers."""
N_ROWS = 6
"""Rows of a table that a filter is made of."""


class _Lanes:
    """Arithmetic with some channels at a time, or with one."""

    def __init__(self, builder: Any, real: Any, n_lanes: int) -> None:
        self.builder = builder
        self.real = real
        self.n_lanes = n_lanes
        self.kind = real if n_lanes == 1 else ir.VectorType(real, n_lanes)
        self.zero = ir.Constant(self.kind, 0.0 if n_lanes == 1 else None)

    def load(self, place: Any) -> Any:
        """Numbers from memory, which need not be aligned."""
        return self.builder.load(self._pointer(place), align=self._alignment)

    def store(self, place: Any, value: Any) -> None:
        """Numbers to memory."""
        self.builder.store(value, self._pointer(place), align=self._alignment)

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

    def add(self, place: Any, *pairs: tuple[Any, Any]) -> None:
        """Add the products of pairs to numbers in memory."""
        total = self.load(place)
        for pair in pairs:
            total = self.plus(total, self.times(*pair))
        self.store(place, total)

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

    def _pointer(self, place: Any) -> Any:
        return place if self.n_lanes == 1 else self.builder.bitcast(place, self.kind.as_pointer())

    @property
    def _alignment(self) -> int:
        return 8 if isinstance(self.real, ir.DoubleType) else 4

    @staticmethod
    def _places(numbers: Sequence[int] | range) -> Any:
        return ir.Constant(ir.VectorType(ir.IntType(32), len(numbers)), list(numbers))


class _Rows:
    """The rows of arrays that an edge needs."""

    def __init__(self, context: Any, builder: Any, real: types.Float) -> None:
        self.context, self.builder = context, builder
        self.real = context.get_data_type(real)
        self.whole = context.get_value_type(types.intp)
        self.n_lanes = VECTOR // (real.bitwidth // 8)

    def of(self, kind: Any, value: Any, index: Any, n_rows: int) -> list[Any]:
        """Where rows begin: of array[index] [n_rows, F], or the one row array[index] [F]."""
        array = self.context.make_array(kind)(self.context, self.builder, value)
        width = cgutils.unpack_tuple(self.builder, array.shape)[-1]
        first = self.builder.mul(index, self.whole(n_rows))
        return [
            self.builder.gep(
                array.data, [self.builder.mul(self.builder.add(first, self.whole(row)), width)]
            )
            for row in range(n_rows)
        ]

    def of_table(self, kind: Any, value: Any, index: Any) -> list[Any]:
        """Where `N_ROWS` rows of a table begin."""
        array = self.context.make_array(kind)(self.context, self.builder, value)
        width = cgutils.unpack_tuple(self.builder, array.shape)[-1]
        return [
            self.builder.gep(
                array.data, [self.builder.mul(self.builder.add(index, self.whole(row)), width)]
            )
            for row in range(N_ROWS)
        ]

    def parts(self, kind: Any, value: Any, width: Any, n_parts: int) -> list[Any]:
        """Where parts of a row begin that has them one behind the other."""
        array = self.context.make_array(kind)(self.context, self.builder, value)
        return [
            self.builder.gep(array.data, [self.builder.mul(width, self.whole(part))])
            for part in range(n_parts)
        ]

    def width(self, kind: Any, value: Any) -> Any:
        """Channels F of an array [..., F]."""
        array = self.context.make_array(kind)(self.context, self.builder, value)
        return cgutils.unpack_tuple(self.builder, array.shape)[-1]

    def over_channels(
        self, width: Any, n_sums: int, code: Callable[[_Lanes, Any], Sequence[Any]]
    ) -> list[Any]:
        """Call `code` for all channels, some at a time, then the rest one by one; add its sums."""
        builder, totals = self.builder, [ir.Constant(self.real, 0.0)] * n_sums
        n_whole = builder.mul(
            builder.sdiv(width, self.whole(self.n_lanes)), self.whole(self.n_lanes)
        )
        ranges = ((self.whole(0), n_whole, self.n_lanes), (n_whole, width, 1))
        for begin, end, n_lanes in ranges:
            lanes = _Lanes(builder, self.real, n_lanes)
            sums = [cgutils.alloca_once_value(builder, lanes.zero) for _ in range(n_sums)]
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


def _at(builder: Any, places: Sequence[Any], channel: Any) -> list[Any]:
    return [builder.gep(place, [channel]) for place in places]


def _check(*arrays: Any) -> None:
    if any(getattr(array, "layout", "") != "C" for array in arrays):
        raise TypingError("rows are taken of arrays in C order")


def _filters(
    lanes: _Lanes, table: Sequence[Any], factors: Sequence[Any], width: Any, channel: Any, n: int
) -> list[Any]:
    """The filters of n parts."""
    builder, result = lanes.builder, []
    for part in range(n):
        offset = builder.add(channel, builder.mul(width, ir.Constant(width.type, part)))
        rows = [lanes.load(place) for place in _at(builder, table, offset)]
        result.append(lanes.sum_of_products(*zip(factors, rows, strict=True)))
    return result


def _message_maker(*, has_vectors: bool) -> Any:
    @intrinsic
    def add_message(
        typingctx: Any,
        T: Any,
        row: Any,
        c: Any,
        S: Any,
        V: Any,
        j: Any,
        u: Any,
        s: Any,
        v: Any,
        i: Any,
    ) -> Any:
        """Add the message of j to s[i] and v[i], for the table's rows from `row` on."""
        _check(T, S, V, s, v)

        def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            kinds = signature.args
            rows = _Rows(context, builder, T.dtype)
            width = rows.width(kinds[7], given[7])
            table = rows.of_table(kinds[0], given[0], given[1])
            S_rows = rows.of(kinds[3], given[3], given[5], 3)
            V_rows = rows.of(kinds[4], given[4], given[5], 3)
            (s_row,) = rows.of(kinds[7], given[7], given[9], 1)
            v_rows = rows.of(kinds[8], given[8], given[9], 3)
            factors = cgutils.unpack_tuple(builder, given[2])
            direction = cgutils.unpack_tuple(builder, given[6])

            def add(lanes: _Lanes, channel: Any) -> Sequence[Any]:
                own = [lanes.everywhere(factor) for factor in factors]
                n_parts = 3 if has_vectors else 2
                W = _filters(lanes, table, own, width, channel, n_parts)
                S_here = [lanes.load(place) for place in _at(builder, S_rows[:n_parts], channel)]
                lanes.add(*_at(builder, [s_row], channel), (S_here[0], W[0]))
                along = lanes.times(S_here[1], W[1])
                places = _at(builder, v_rows, channel)
                if not has_vectors:
                    for place, part in zip(places, direction, strict=True):
                        lanes.add(place, (along, lanes.everywhere(part)))
                    return ()
                turn = lanes.times(S_here[2], W[2])
                for place, part, V_place in zip(
                    places, direction, _at(builder, V_rows, channel), strict=True
                ):
                    pairs = (along, lanes.everywhere(part)), (turn, lanes.load(V_place))
                    lanes.add(place, *pairs)
                return ()

            rows.over_channels(width, 0, add)
            return context.get_dummy_value()

        return types.void(T, types.intp, c, S, V, types.intp, u, s, v, types.intp), code

    return add_message


@intrinsic
def put_filters(typingctx: Any, T: Any, row: Any, c: Any, b: Any, n: Any, W: Any, Z: Any) -> Any:
    """Filters and slopes in the first n numbers of W and Z, for the table's rows from `row` on."""
    _check(T, W, Z)

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        kinds = signature.args
        rows = _Rows(context, builder, T.dtype)
        table = rows.of_table(kinds[0], given[0], given[1])
        sets = [cgutils.unpack_tuple(builder, given[number]) for number in (2, 3)]
        targets = [rows.of(kinds[n], given[n], rows.whole(0), 1)[0] for n in (5, 6)]

        def put(lanes: _Lanes, channel: Any) -> Sequence[Any]:
            found = [lanes.load(place) for place in _at(builder, table, channel)]
            for place, factors in zip(_at(builder, targets, channel), sets, strict=True):
                own = [lanes.everywhere(factor) for factor in factors]
                lanes.store(place, lanes.sum_of_products(*zip(own, found, strict=True)))
            return ()

        rows.over_channels(given[4], 0, put)
        return context.get_dummy_value()

    return types.void(T, types.intp, c, b, types.intp, W, Z), code


def _gradient_maker(*, has_vectors: bool) -> Any:
    @intrinsic
    def add_gradient(
        typingctx: Any, W: Any, Z: Any, S: Any, V: Any, j: Any, u: Any, gs: Any, gv: Any, i: Any,
        dS: Any, dV: Any,
    ) -> Any:  # fmt: skip
        """Add to dS[j] and dV[j]; gives the gradient by the distance and by the direction.

        W and Z [1, 3F] are the filters and their slopes.
        """
        _check(W, Z, S, V, gs, gv, dS, dV)

        def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            kinds = signature.args
            rows = _Rows(context, builder, gs.dtype)
            n_parts = 3 if has_vectors else 2
            width = rows.width(kinds[6], given[6])
            filters, slopes = (rows.parts(kinds[n], given[n], width, n_parts) for n in (0, 1))
            S_rows, D_rows = (rows.of(kinds[n], given[n], given[4], 3)[:n_parts] for n in (2, 9))
            V_rows, dV_rows = (rows.of(kinds[n], given[n], given[4], 3) for n in (3, 10))
            (g_row,) = rows.of(kinds[6], given[6], given[8], 1)
            gv_rows = rows.of(kinds[7], given[7], given[8], 3)
            direction = cgutils.unpack_tuple(builder, given[5])

            def add(lanes: _Lanes, channel: Any) -> Sequence[Any]:
                def here(places: Sequence[Any]) -> list[Any]:
                    return [lanes.load(place) for place in _at(builder, places, channel)]

                w, z, s = here(filters), here(slopes), here(S_rows)
                g_xyz = here(gv_rows)
                u_xyz = [lanes.everywhere(part) for part in direction]
                p = [*here([g_row]), lanes.sum_of_products(*zip(u_xyz, g_xyz, strict=True))]
                if has_vectors:
                    p.append(lanes.sum_of_products(*zip(here(V_rows), g_xyz, strict=True)))
                    turn = lanes.times(s[2], w[2])
                    for place, part in zip(_at(builder, dV_rows, channel), g_xyz, strict=True):
                        lanes.add(place, (turn, part))
                for place, *pair in zip(_at(builder, D_rows, channel), w, p, strict=True):
                    lanes.add(place, (pair[0], pair[1]))
                along = lanes.times(s[1], w[1])
                terms = [(lanes.times(*pair), slope) for *pair, slope in zip(s, p, z, strict=True)]
                return lanes.sum_of_products(*terms), *(lanes.times(along, part) for part in g_xyz)

            sums = rows.over_channels(width, 4, add)
            return context.make_tuple(builder, signature.return_type, sums)

        whole = types.intp
        result = types.UniTuple(gs.dtype, 4)
        return result(W, Z, S, V, whole, u, gs, gv, whole, dS, dV), code

    return add_gradient


add_message = _message_maker(has_vectors=True)
add_first_message = _message_maker(has_vectors=False)
add_gradient = _gradient_maker(has_vectors=True)
add_first_gradient = _gradient_maker(has_vectors=False)
