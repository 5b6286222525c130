"""Uncertainties of the heads of a model: covariances from training structures, scales from others.

What is measured and stored stands in `atomfm_calc/models/uncertainty.py`. Here, for each head:

- C is the mean over its training structures, each once, as far as they have an energy;
- the scale alpha is the root of the mean of (error/sigma)² over the validation split, which makes
  the likelihood of its errors, taken as normal, largest for the given regularization;
- the regularization r is the *smallest* of `REGULARIZATIONS` whose likelihood is not worse than
  the largest by more than the standard error of the difference: where held-out structures do not
  tell, as for a single molecule, a head should rather be unsure of what is new.

The test split only reports how good that is. Errors are of energies per atom.
"""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from atomfm_calc.errors import DataError
from atomfm_calc.models.derivatives import predict
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.models.uncertainty import HeadUncertainty, last_features, whitening_of
from atomfm_calc.models.weights import read_tensors, write_tensors
from atomfm_calc.registry.card import Calibration
from atomfm_calc.registry.catalog import add_uncertainties, copy_model
from training.assemble import assemble
from training.config import BatchLimits
from training.data.loader import Batch, FixedLoader
from training.trained_model import load_trained
from training.training_data import Index, TrainingData

logger = logging.getLogger(__name__)

REGULARIZATIONS = tuple(10.0 ** (-0.5 * step) for step in range(4, 17))
"""From 0.01 down to 1e-8, where the rounding of float32 features begins to count."""
USUAL = 0.95
"""Part of the held-out structures whose uncertainty is below the usual limit."""
FEWEST = 2
"""Held-out structures below which a head gets no uncertainty."""
RANKED = 10
"""Structures from which on a rank correlation says something."""
PARTS = "uncertainty-parts"
"""Folder of the covariances that are done, inside the model folder, until all are."""
PART_FORMAT = "atomfm-uncertainty-part"


class Measured(NamedTuple):
    """What a head says about S labeled structures."""

    features: Tensor
    """[S, D] F/N, last-layer features per atom, float64"""
    errors: Tensor
    """[S] eV/atom, energy minus label"""


def measure(model: FoundationModel, head: str, batches: Iterable[Batch]) -> Iterator[Measured]:
    """Features and errors of the labeled structures of batches, one pass without derivatives.

    Args:
        model: has the head.
        head: name.
        batches: of structures of this head's data.
    """
    for batch in batches:
        graph = batch.graph
        prediction = predict(model.energy_of(head), graph, ["energy"])
        if prediction.descriptors is None:
            raise DataError(f"head {head!r} gave no features; it must be one head, not several")
        features = last_features(model, prediction.descriptors, graph, head).structures
        sizes = graph.n_atoms.to(torch.float64)
        errors = (prediction.energy - batch.targets["energy"]) / sizes
        labeled = errors.isfinite()
        yield Measured((features / sizes[:, None])[labeled], errors[labeled])


def measure_split(
    model: FoundationModel, head: str, data: TrainingData, split: str, limits: BatchLimits
) -> Measured:
    """All of a split of a head; no rows if there is none."""
    empty = Measured(torch.zeros(0, model.head(head).last_width + 1).double(), torch.zeros(0))
    batches = FixedLoader(data.assembler, data.splits[head][split], limits)
    columns = zip(empty, *measure(model, head, batches), strict=True)
    return Measured(*(torch.cat(column) for column in columns))


def covariance_of(measured: Iterable[Measured], progress: tqdm[None]) -> tuple[Tensor, int]:
    """C [D, D], and the number of structures that it is the mean over.

    Raises:
        DataError: there is no structure.
    """
    total, count = torch.zeros(()).double(), 0
    for part in measured:
        total = total + part.features.T @ part.features
        count += len(part.errors)
        progress.update(1)
    if not count:
        raise DataError("no training structure has an energy; nothing is known of the errors")
    return total / count, count


def fit_head(covariance: Tensor, n_training: int, held_out: Measured) -> HeadUncertainty:
    """Regularization and scale of a head, see the module's docstring.

    Args:
        covariance: [D, D] C.
        n_training: structures that C is the mean over.
        held_out: structures that were not trained on, two at least.
    """
    losses, scales = [], []
    for regularization in REGULARIZATIONS:
        raw = torch.linalg.vector_norm(
            held_out.features @ whitening_of(covariance, regularization).T, dim=1
        )
        scales.append(max(float((held_out.errors / raw).square().mean().sqrt()), 1e-12))
        losses.append(negative_log_likelihood(held_out.errors, scales[-1] * raw))
    best = min(range(len(losses)), key=lambda place: float(losses[place].mean()))
    chosen = max(place for place in range(len(losses)) if _as_good(losses[place], losses[best]))
    unlimited = HeadUncertainty(
        covariance=covariance,
        regularization=REGULARIZATIONS[chosen],
        scale=scales[chosen],
        usual=math.inf,
        n_training=n_training,
        n_calibration=len(held_out.errors),
    )
    return replace(unlimited, usual=float(unlimited.sigma(held_out.features).quantile(USUAL)))


def negative_log_likelihood(errors: Tensor, sigma: Tensor) -> Tensor:
    """Of errors under normal distributions of width sigma: [S], up to a constant."""
    return sigma.log() + 0.5 * (errors / sigma).square()


def _as_good(loss: Tensor, best: Tensor) -> bool:
    """Whether a mean loss is within a standard error of the difference from the best one."""
    worse = loss - best
    return bool(worse.mean() <= worse.std() / math.sqrt(len(worse)))


def calibration_of(head: HeadUncertainty, held_out: Measured, split: str) -> Calibration | None:
    """How well a head's uncertainties agree with errors; None without structures.

    Args:
        head: fitted to others than these.
        held_out: structures.
        split: what they are, for the card.
    """
    if not len(held_out.errors):
        return None
    sigma, errors = head.sigma(held_out.features), held_out.errors.abs()
    enough = len(errors) >= RANKED
    return Calibration(
        split=split,
        n_structures=len(errors),
        rms_error_meV_per_atom=1e3 * float(errors.square().mean().sqrt()),
        rms_uncertainty_meV_per_atom=1e3 * float(sigma.square().mean().sqrt()),
        miscalibration_area=miscalibration_area(errors / sigma),
        rank_correlation=rank_correlation(errors, sigma) if enough else None,
    )


def miscalibration_area(deviations: Tensor) -> float:
    """Mean over p from 0 to 1 of |part of the deviations inside the interval of p - p|.

    Args:
        deviations: [S] |error| / sigma, of a normal distribution if all is right: of these, a part
            p is below the square root of 2 times the inverse error function of p.

    Source: Tran et al., Mach. Learn.: Sci. Technol. 1, 025006 (2020).
    """
    expected = torch.linspace(0.0, 1.0, 101, dtype=torch.float64)[1:-1]
    limits = math.sqrt(2.0) * torch.erfinv(expected)
    inside = (deviations[None] <= limits[:, None]).to(torch.float64).mean(dim=1)
    return float((inside - expected).abs().mean())


def rank_correlation(first: Tensor, second: Tensor) -> float:
    """Spearman's, of two [S] without equal values."""
    ranks = torch.stack([values.argsort().argsort() for values in (first, second)])
    return float(torch.corrcoef(ranks.to(torch.float64))[0, 1])


def make_uncertainties(model: str, data: Path, folder: Path) -> str:
    """Measure, fit, report, and write the model with the uncertainties of its heads.

    Goes on with the heads that are left if it was stopped and is called again.

    Args:
        model: name or folder.
        data: folder of the run that made the model, or a configuration with the same data: what
            was held out there is held out here.
        folder: model folder to write; may be that of the model itself.

    Returns:
        the report on the test split, as a table.

    Raises:
        ConfigError, DataError, WeightsError, UnknownNameError: as in what it is made of.
    """
    trained = load_trained(model, data)
    net, limits = trained.loaded.model, trained.run.batch
    names = tuple(name for name in net.head_names if name in trained.run.heads)
    structures = assemble(names, trained.data, net.cutoff)
    folder.mkdir(parents=True, exist_ok=True)
    mark = f"{trained.loaded.card.weights_sha256} {structures.fingerprint}"
    known, calibrations = {}, {}
    for name in names:
        held_out = measure_split(net, name, structures, "validation", limits)
        if len(held_out.errors) < FEWEST:
            logger.warning("%s: no uncertainty, it has no validation structures", name)
            continue
        index = structures.splits[name]["train"]
        covariance, count = _covariance(folder / PARTS, mark, net, name, structures, index, limits)
        known[name] = fit_head(covariance, count, held_out)
        tested = measure_split(net, name, structures, "test", limits)
        found = calibration_of(known[name], tested, "test")
        if found is not None:
            calibrations[name] = found
    copy_model(trained.loaded.folder, folder)
    add_uncertainties(folder, known, calibrations, _figures(known))
    shutil.rmtree(folder / PARTS, ignore_errors=True)
    logger.info("wrote uncertainties of %d heads into %s", len(known), folder)
    return table_of_uncertainties(known, calibrations)


def _covariance(
    parts: Path,
    mark: str,
    model: FoundationModel,
    head: str,
    data: TrainingData,
    index: Index,
    limits: BatchLimits,
) -> tuple[Tensor, int]:
    """`covariance_of` training structures, from an earlier try if it was the same."""
    path = parts / f"{head}.safetensors"
    if path.is_file():
        header, state = read_tensors(path, PART_FORMAT, 1)
        if header["mark"] == mark:
            return state["covariance"], int(header["count"])
    batches = FixedLoader(data.assembler, index, limits)
    with tqdm(total=len(batches), desc=head, unit="batch", disable=None) as progress:
        covariance, count = covariance_of(measure(model, head, batches), progress)
    parts.mkdir(exist_ok=True)
    header = {"format": PART_FORMAT, "format_version": 1, "mark": mark, "count": count}
    write_tensors(path, header, {"covariance": covariance})
    return covariance, count


def _figures(known: dict[str, HeadUncertainty]) -> dict[str, str]:
    trained = sum(head.n_training for head in known.values())
    fitted = sum(head.n_calibration for head in known.values())
    return {
        "uncertainties": f"covariance of last-layer features of {trained} training structures in "
        f"{len(known)} heads; scales and regularizations fitted to {fitted} validation structures"
    }


def table_of_uncertainties(
    known: dict[str, HeadUncertainty], calibrations: dict[str, Calibration]
) -> str:
    """One line per head, for people."""
    width = max([len(name) for name in known], default=4)
    lines = [
        f"{'head':<{width}}  fitted to     alpha        r  usual  tested  rms error  rms sigma"
        "  miscalibration  rank correlation"
    ]
    for name, head in known.items():
        line = (
            f"{name:<{width}}  {head.n_calibration:>9}  {head.scale:>8.2g}"
            f"  {head.regularization:>7.0e}  {1e3 * head.usual:>5.0f}"
        )
        found = calibrations.get(name)
        if found is not None:
            ranks = "-" if found.rank_correlation is None else f"{found.rank_correlation:.2f}"
            line += (
                f"  {found.n_structures:>6}  {found.rms_error_meV_per_atom:>9.1f}"
                f"  {found.rms_uncertainty_meV_per_atom:>9.1f}"
                f"  {found.miscalibration_area:>14.3f}  {ranks:>16}"
            )
        lines.append(line)
    return "\n".join([*lines, "meV/atom; alpha in eV"])
