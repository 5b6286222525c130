"""Structures in, results out: the ASE calculator and its batched and many-head companions."""

from __future__ import annotations
