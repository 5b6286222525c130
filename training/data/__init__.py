"""From samples to batches: prepared graphs, mixing of heads, batches within a budget, statistics."""
