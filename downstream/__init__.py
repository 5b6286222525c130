"""Adapting a pretrained model to few data: one YAML file and one reader per recipe, one engine."""
