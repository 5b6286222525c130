"""Screening: any number of candidate structures through a model, resumable, each exactly once."""
