"""The file of uncertainties: what goes in comes out, what is damaged is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from atomfm_calc.errors import WeightsError
from atomfm_calc.models.uncertainty import (
    UNCERTAINTY_FILE,
    HeadUncertainty,
    load_uncertainties,
    of_model,
    save_uncertainties,
    whitening_of,
)
from atomfm_calc.models.weights import write_tensors
from atomfm_calc.registry.catalog import load_model, verify_model
from tests.made.models import make_model_folder, make_uncertain_folder, small_model


def known(width: int = 5) -> HeadUncertainty:
    features = torch.rand(20, width, generator=torch.Generator().manual_seed(1)).double()
    return HeadUncertainty(
        covariance=features.T @ features / 20,
        regularization=1e-4,
        scale=0.2,
        usual=0.05,
        n_training=20,
        n_calibration=7,
    )


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    save_uncertainties({"b": known(), "a": known(3)}, tmp_path / UNCERTAINTY_FILE)
    found = load_uncertainties(tmp_path / UNCERTAINTY_FILE)
    assert torch.equal(found["b"].covariance, known().covariance)
    assert (found["a"].scale, found["a"].usual, found["a"].n_calibration) == (0.2, 0.05, 7)


def test_sigma_is_the_root_of_the_inverse_covariance() -> None:
    head, features = known(), torch.rand(6, 5).double()
    shifted = head.covariance + 1e-4 * head.covariance.diagonal().mean() * torch.eye(5)
    squares = torch.einsum("sd,de,se->s", features, shifted.inverse(), features)
    torch.testing.assert_close(head.sigma(features), 0.2 * squares.sqrt())


def test_no_covariance_is_an_error() -> None:
    with pytest.raises(WeightsError, match="not positive; make it again"):
        whitening_of(-torch.eye(3).double(), 1e-6)


def test_a_folder_with_exchanged_uncertainties_is_refused(tmp_path: Path) -> None:
    folder = make_uncertain_folder(tmp_path / "tiny")
    assert set(load_model(folder).uncertainties) == {"molecules", "everything"}
    save_uncertainties({"molecules": known(9)}, folder / UNCERTAINTY_FILE)
    with pytest.raises(WeightsError, match="was changed or damaged"):
        verify_model(folder)


def test_a_file_that_the_card_does_not_name_is_refused(tmp_path: Path) -> None:
    folder = make_model_folder(tmp_path / "tiny")
    save_uncertainties({"molecules": known(9)}, folder / UNCERTAINTY_FILE)
    with pytest.raises(WeightsError, match="python -m training uncertainty"):
        load_model(folder)


@pytest.mark.parametrize("content", [{}, {"heads": {"a": {"scale": 1.0}}}, {"heads": 3}])
def test_an_incomplete_file_is_named(tmp_path: Path, content: dict[str, object]) -> None:
    header = {"format": "atomfm-uncertainty", "format_version": 1, **content}
    write_tensors(tmp_path / "half", header, {"a.covariance": torch.ones(6)})
    with pytest.raises(WeightsError, match="no complete uncertainty"):
        load_uncertainties(tmp_path / "half")


def test_uncertainties_of_another_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="nobody besides the model's heads, and ions of another"):
        of_model({"nobody": known(9), "ions": known(4)}, small_model(), "file")
