"""Measured step times on the ranks at hand, and a model that extends them to large machines."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "machines"

MACHINES = {
    "frontier": FOLDER / "frontier.yaml",
    "aurora": FOLDER / "aurora.yaml",
    "perlmutter": FOLDER / "perlmutter.yaml",
}
"""Name -> constants of the model."""
