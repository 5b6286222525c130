"""Structures of one head in ADIOS2 files: converted once, read in any order."""
