"""The door to mace-torch and e3nn.

mace-torch 0.3.16 sets TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD when it is imported, which takes the
safeguard off every torch.load of the program that does not ask for it (ours do), and e3nn 0.4.4
cannot be imported without it. The environment is put back as it was.
"""

from __future__ import annotations

import io
import os
import warnings
from contextlib import redirect_stdout

_before = dict(os.environ)
with warnings.catch_warnings(), redirect_stdout(io.StringIO()):  # it says what it lacks
    warnings.simplefilter("ignore", UserWarning)  # of torch, about the variable
    import mace  # noqa: F401 (before e3nn, which needs what it sets)
    from e3nn import o3
    from mace.modules.blocks import (
        EquivariantProductBasisBlock,
        RadialEmbeddingBlock,
        RealAgnosticInteractionBlock,
        RealAgnosticResidualInteractionBlock,
    )
os.environ.clear()
os.environ.update(_before)

__all__ = [
    "EquivariantProductBasisBlock",
    "RadialEmbeddingBlock",
    "RealAgnosticInteractionBlock",
    "RealAgnosticResidualInteractionBlock",
    "o3",
]
