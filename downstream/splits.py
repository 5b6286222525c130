"""Training and test structures of a fold, by the names that the recipe's reader gives them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One division, as `Sample.source` names."""

    name: str
    """"fold 0", or what the source calls it."""
    train: frozenset[str]
    """Trained and validated on."""
    test: frozenset[str]
    """Held out."""
