"""Models by name and their cards."""

from __future__ import annotations
