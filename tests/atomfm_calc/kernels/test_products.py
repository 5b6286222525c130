"""Matrix products and activations inside of compiled loops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from atomfm_calc.kernels.cpu_products import add_product, packed, set_product, set_rows, sigmoid
from atomfm_calc.kernels.cpu_tiles import TypingError

INTEGERS = {"float32": "int32", "float64": "int64"}
ROUNDING = {"float32": 2e-7, "float64": 4e-16}


SHAPES = [(rows, 5, 17) for rows in range(14)]
SHAPES += [(1, 1, 1), (8, 7, 9), (0, 4, 4), (5, 0, 3), (7, 90, 1001), (12, 16, 32)]


@pytest.mark.parametrize("real", INTEGERS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("product", [add_product, set_product], ids=["added", "put"])
def test_a_product_goes_into_some_rows(
    real: str, shape: tuple[int, int, int], product: Callable[..., None]
) -> None:
    rows, inner, columns = shape
    rng = np.random.default_rng(0)
    A = rng.normal(size=(rows + 3, inner)).astype(real)
    B = rng.normal(size=(inner, columns)).astype(real)
    C = rng.normal(size=(rows + 3, columns)).astype(real)
    wanted = C.copy()
    wanted[2 : 2 + rows] = A[2 : 2 + rows] @ B + (
        C[2 : 2 + rows] if product is add_product else 0.0
    )
    product(2, 2 + rows, A, packed(B), C)
    np.testing.assert_allclose(C, wanted, atol=2 * (inner + 10) * ROUNDING[real], rtol=0.0)


def test_arrays_in_another_order_are_refused() -> None:
    A = np.zeros((4, 4)).T
    with pytest.raises(TypingError, match="C order"):
        set_product(0, 4, A[:, ::2], packed(np.zeros((2, 2))), np.zeros((4, 2)))


@pytest.mark.parametrize("real", INTEGERS)
def test_the_sigmoid_is_exact_to_the_last_digits(real: str) -> None:
    x = np.concatenate([np.linspace(-80.0, 80.0, 4001), [0.0, -0.0]]).astype(real)
    result, scale = np.empty_like(x), np.empty_like(x)
    sigmoid(x, result, scale, scale.view(INTEGERS[real]))
    wanted = 1.0 / (1.0 + np.exp(-x.astype(np.float64)))
    np.testing.assert_allclose(result, wanted, rtol=4 * ROUNDING[real])


@pytest.mark.parametrize("real", INTEGERS)
def test_far_from_zero_the_sigmoid_is_0_or_1(real: str) -> None:
    x = np.array([-1e30, -1000.0, 1000.0, 1e30, -np.inf, np.inf], real)
    result, scale = np.empty_like(x), np.empty_like(x)
    sigmoid(x, result, scale, scale.view(INTEGERS[real]))
    np.testing.assert_allclose(result, [0.0, 0.0, 1.0, 1.0, 0.0, 1.0], atol=1e-37)


def test_one_row_is_put_into_some_rows() -> None:
    C = np.zeros((4, 3))
    set_rows(1, 3, np.arange(3.0), C)
    assert C.tolist() == [[0, 0, 0], [0, 1, 2], [0, 1, 2], [0, 0, 0]]
