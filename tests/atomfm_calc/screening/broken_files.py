"""Files of good structures with broken ones among them, one for each way to be broken."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

GOOD = """3
Properties=species:S:1:pos:R:3 pbc="F F F"
O 0.0 0.0 {0:.4f}
H 0.0 0.76 -0.48
H 0.0 -0.76 -0.48
"""
PERIODIC = """1
Lattice="{0}" Properties=species:S:1:pos:R:3 pbc="T T T"
Cu 0.0 0.0 0.0
"""
BROKEN: dict[str, tuple[str, str]] = {
    "nan": ("not-finite", GOOD.format(0.0).replace("O 0.0", "O nan")),
    "infinite cell": ("not-finite", PERIODIC.format("inf 0 0 0 3 0 0 0 3")),
    "zero atoms": ("no-atoms", '0\nProperties=species:S:1:pos:R:3 pbc="F F F"\n'),
    "overlap": ("overlap", GOOD.format(0.0).replace("0.76", "0.00").replace("-0.48", "0.01")),
    "element": ("unknown-element", GOOD.format(0.0).replace("O ", "Qq ")),
    "ghost": ("unknown-element", GOOD.format(0.0).replace("O ", "X ")),
    "garbage": ("unreadable", "<html><body>404 Not Found</body></html>\nnothing here\n"),
    "letters": ("unreadable", GOOD.format(0.0).replace("0.76", "o.76")),
    "truncated": ("truncated", "\n".join(GOOD.format(0.0).splitlines()[:4]) + "\n"),
    "flat cell": ("flat-cell", PERIODIC.format("3 0 0 0 3 0 3 3 0")),
    "charge": ("bad-charge", GOOD.format(0.0).replace("pbc", "charge=0.5 pbc")),
}
"""What is wrong -> the reason it is quarantined for, and the text of the frame."""


def write_mixture(path: Path, n_good: int, n_broken: int, seed: int = 0) -> dict[int, str]:
    """Frames in random order; returns the reason by place of the broken ones.

    Lines of garbage are never next to each other: they would be one record.
    """
    generator = np.random.default_rng(seed)
    kinds = [list(BROKEN)[number % len(BROKEN)] for number in range(n_broken)]
    # at most one broken frame behind every good one
    behind = dict(zip(generator.permutation(n_good)[:n_broken].tolist(), kinds, strict=True))
    frames, reasons = [], {}
    for number in range(n_good):
        frames.append(GOOD.format(0.001 * (number % 97)))
        if number in behind:
            reason, text = BROKEN[behind[number]]
            reasons[len(frames)] = reason
            frames.append(text)
    text = "".join(frames).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return reasons
