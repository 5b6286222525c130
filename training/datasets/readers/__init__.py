"""Readers, one per file format: file -> records, to be turned into `Sample` by an adapter."""
