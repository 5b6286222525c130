"""Which structures made a prediction that is not finite."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from atomfm_calc.errors import listing
from atomfm_calc.models.derivatives import Prediction
from training.engine.losses import LabeledBatch

MAX_SOURCES_NAMED = 5


def suspects(
    batches: Sequence[LabeledBatch], predictions: Sequence[Prediction], heads: Sequence[str]
) -> str:
    """Heads and sources of the structures whose prediction or label is not finite; "" if none.

    Args:
        batches: of one rank.
        predictions: of each batch.
        heads: names that the batches' head indices follow.
    """
    names, sources = set(), []
    for batch, prediction in zip(batches, predictions, strict=True):
        bad = ~torch.isfinite(prediction.energy) & (batch.head >= 0)
        bad |= torch.isinf(batch.targets["energy"])
        if prediction.forces is not None:
            broken = ~torch.isfinite(prediction.forces).all(dim=1)
            bad[batch.graph.batch[broken]] = True
        for place in bad.nonzero()[:, 0].tolist():
            head = int(batch.head[place])
            names.add(heads[head] if head >= 0 else "properties")
            sources.append(batch.sources[place])
    if not sources:
        return ""
    return (
        f"heads {listing(sorted(names))}; {len(sources)} structures, such as "
        f"{listing(sources[:MAX_SOURCES_NAMED])}"
    )
