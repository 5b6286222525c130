"""What a trainer is told of the run that it is a part of."""

from __future__ import annotations

from dataclasses import dataclass, field

from training.engine.strategy import SingleProcess, Strategy


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """The same on every rank, except for the strategy's own place."""

    heads: tuple[str, ...]
    """All heads of the run, in the order that head indices of batches follow; a rank's model may
    have fewer."""
    strategy: Strategy = field(default_factory=SingleProcess)
    """How ranks share a step."""
    batches_per_rank: int = 1
    """Batches of each rank in a step."""
    fingerprint: str = ""
    """Of the data; a checkpoint with another one is refused."""
