"""Messages of one edge and their gradient, for compiled loops; letters are those of `cpu_loops`.

Some channels at a time go through an edge: its filters are read from the rows of a table, and what
is not a result stays in registers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numba import types
from numba.extending import intrinsic

from atomfm_calc.kernels.cpu_lanes import Arguments, Lanes

N_ROWS = 6
"""Rows of a table that a filter is made of."""
WHOLE = types.intp


def _message(*, has_vectors: bool) -> Any:
    n_parts = 3 if has_vectors else 2

    @intrinsic
    def add_message(
        typingctx: Any, T: Any, row: Any, c: Any, S: Any, V: Any, j: Any, u: Any, s: Any, v: Any,
        i: Any,
    ) -> Any:  # fmt: skip
        """Add the message of j to s[i] and v[i]; c counts the table's rows from `row` on."""

        def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            given = Arguments(context, builder, signature, values, "T row c S V j u s v i")
            width, columns = given.width("s"), given.width("T")
            table = given.rows_from("T", given.values["row"], N_ROWS, columns)
            (to_s,), to_v = given.rows("s", "i", 1), given.rows("v", "i", 3)
            of_S, of_V = given.rows("S", "j", 3)[:n_parts], given.rows("V", "j", 3)

            def add(lanes: Lanes, channel: Any) -> Sequence[Any]:
                factors = [lanes.everywhere(factor) for factor in given.numbers("c")]
                told = []
                for part, row_of_S in enumerate(of_S):
                    column = builder.add(channel, builder.mul(width, given.whole(part)))
                    filters = [lanes.load(row, column) for row in table]
                    filter_ = lanes.sum_of_products(*zip(factors, filters, strict=True))
                    told.append((lanes.load(row_of_S, channel), filter_))
                lanes.add(to_s, channel, told[0])
                along, *turn = (lanes.times(*pair) for pair in told[1:])
                for row, row_of_V, part in zip(to_v, of_V, given.numbers("u"), strict=True):
                    more = [(factor, lanes.load(row_of_V, channel)) for factor in turn]
                    lanes.add(row, channel, (along, lanes.everywhere(part)), *more)
                return ()

            given.over_channels(width, 0, add)
            return context.get_dummy_value()

        return types.void(T, WHOLE, c, S, V, WHOLE, u, s, v, WHOLE), code

    return add_message


@intrinsic
def put_filters(typingctx: Any, T: Any, row: Any, c: Any, b: Any, n: Any, W: Any, Z: Any) -> Any:
    """Filters and slopes into the first n numbers of W and Z [., 3F]; c and b count the rows."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        given = Arguments(context, builder, signature, values, "T row c b n W Z")
        table = given.rows_from("T", given.values["row"], N_ROWS, given.width("T"))
        targets = [given.rows_from(name, given.whole(0), 1, given.whole(0))[0] for name in "WZ"]

        def put(lanes: Lanes, column: Any) -> Sequence[Any]:
            found = [lanes.load(row, column) for row in table]
            for target, name in zip(targets, "cb", strict=True):
                factors = [lanes.everywhere(factor) for factor in given.numbers(name)]
                total = lanes.sum_of_products(*zip(factors, found, strict=True))
                lanes.store(target, column, total)
            return ()

        given.over_channels(given.values["n"], 0, put)
        return context.get_dummy_value()

    return types.void(T, WHOLE, c, b, WHOLE, W, Z), code


def _gradient(*, has_vectors: bool) -> Any:
    n_parts = 3 if has_vectors else 2

    @intrinsic
    def add_gradient(
        typingctx: Any, W: Any, Z: Any, S: Any, V: Any, j: Any, u: Any, gs: Any, gv: Any, i: Any,
        dS: Any, dV: Any,
    ) -> Any:  # fmt: skip
        """Add to dS[j] and dV[j]; gives the gradient by the distance and by the direction."""

        def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            given = Arguments(context, builder, signature, values, "W Z S V j u gs gv i dS dV")
            width = given.width("gs")
            filters, slopes = (
                given.rows_from(name, given.whole(0), n_parts, width) for name in "WZ"
            )
            of_S, to_S = (given.rows(name, "j", 3)[:n_parts] for name in ("S", "dS"))
            of_V, to_V = (given.rows(name, "j", 3) for name in ("V", "dV"))
            of_gs, of_gv = given.rows("gs", "i", 1), given.rows("gv", "i", 3)

            def add(lanes: Lanes, channel: Any) -> Sequence[Any]:
                def here(rows: Sequence[Any]) -> list[Any]:
                    return [lanes.load(row, channel) for row in rows]

                w, z, s, (g,), g_xyz = map(here, (filters, slopes, of_S, of_gs, of_gv))
                u_xyz = [lanes.everywhere(part) for part in given.numbers("u")]
                p = [g, lanes.sum_of_products(*zip(u_xyz, g_xyz, strict=True))]
                if has_vectors:
                    p.append(lanes.sum_of_products(*zip(here(of_V), g_xyz, strict=True)))
                    turn = lanes.times(s[2], w[2])
                    for row, part in zip(to_V, g_xyz, strict=True):
                        lanes.add(row, channel, (turn, part))
                for row, filter_, part in zip(to_S, w, p, strict=True):
                    lanes.add(row, channel, (filter_, part))
                along = lanes.times(s[1], w[1])
                told = [lanes.times(*pair) for pair in zip(s, p, strict=True)]
                of_distance = lanes.sum_of_products(*zip(told, z, strict=True))
                return of_distance, *(lanes.times(along, part) for part in g_xyz)

            sums = given.over_channels(width, 4, add)
            return context.make_tuple(builder, signature.return_type, sums)

        four = types.UniTuple(gs.dtype, 4)
        return four(W, Z, S, V, WHOLE, u, gs, gv, WHOLE, dS, dV), code

    return add_gradient


add_message, add_first_message = (_message(has_vectors=is_later) for is_later in (True, False))
add_gradient, add_first_gradient = (_gradient(has_vectors=is_later) for is_later in (True, False))
