"""The made dataset under the name "made"."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.training.shards.made import MadeDataset
from training.datasets import DATASETS

Enter = Callable[[MadeDataset], None]


@pytest.fixture(autouse=True)
def enter(monkeypatch: pytest.MonkeyPatch) -> Enter:
    """Enter a made dataset; the plain one is there from the beginning."""

    def entered(dataset: MadeDataset) -> None:
        monkeypatch.setitem(DATASETS, "made", dataset)

    entered(MadeDataset())
    return entered
