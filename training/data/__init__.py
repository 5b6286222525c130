"""From samples to batches: prepared graphs, mixing of heads, batches in a budget, statistics."""
