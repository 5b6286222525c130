"""A backend of matplotlib for tests: every figure that a script shows is left as a PNG.

Chosen by `MPLBACKEND=module://tests.tutorials.drawing`; otherwise it is Agg.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib._pylab_helpers import Gcf
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg


class FigureManager(FigureManagerBase):
    """Writes figures in place of opening windows."""

    @classmethod
    def pyplot_show(cls, *, block: bool | None = None) -> None:
        """Write all open figures to the working directory and close them."""
        for manager in Gcf.get_all_fig_managers():
            number = len(list(Path.cwd().glob("figure-*.png"))) + 1
            manager.canvas.figure.savefig(f"figure-{number}.png", dpi=80)
        Gcf.destroy_all()


class FigureCanvas(FigureCanvasAgg):
    """Agg, with the manager above."""

    manager_class = FigureManager
