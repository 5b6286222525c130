"""`python -m training.collection`: the collection's commands."""

from __future__ import annotations

from training.collection.commands import app

if __name__ == "__main__":
    app()
