"""Searches for good settings: each trial is a training run in a process of its own (DeepHyper)."""
