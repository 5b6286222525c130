from __future__ import annotations

from pathlib import Path

import pytest

from tests.made.models import make_model_folder


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with random weights that has seen C, N and O."""
    return make_model_folder(tmp_path_factory.mktemp("pretrained") / "model")
