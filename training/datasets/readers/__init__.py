"""Readers, one per file format: file -> `Sample` in eV and Å."""
