"""Runs in GPAW's own Python: structure and settings as JSON on stdin, labels as JSON on stdout.

This file is a program of its own; it imports nothing of this project.
"""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any

import gpaw
import numpy as np
from ase import Atoms
from gpaw import GPAW, PW, FermiDirac, KohnShamConvergenceError


def label(request: dict[str, Any]) -> dict[str, Any]:
    """Energy at zero smearing (eV), forces (eV/Å) and stress (eV/Å³) of a periodic structure."""
    atoms = Atoms(
        request["atomic_numbers"], request["positions"], cell=request["cell"], pbc=request["pbc"]
    )
    settings = request["settings"]
    atoms.calc = GPAW(
        mode=PW(settings["cutoff_eV"]),
        xc=settings["functional"],
        kpts={"density": settings["k_density"], "gamma": True},
        occupations=FermiDirac(settings["smearing_eV"]),
        spinpol=False,
        maxiter=settings["max_iterations"],
        convergence={"density": 1e-5, "energy": 1e-5},
        txt=None,
    )
    try:
        free_energy = atoms.get_potential_energy(force_consistent=True)
    except KohnShamConvergenceError as error:
        return {"error": f"not-converged: {error}"}
    stress = atoms.get_stress(voigt=False)
    return {
        "energy": float(free_energy),
        "forces": atoms.get_forces().tolist(),
        "stress": np.asarray(stress).tolist(),
        "version": gpaw.__version__,
    }


if __name__ == "__main__":
    # GPAW prints warnings to stdout, where the answer goes
    with contextlib.redirect_stdout(sys.stderr):
        answer = label(json.load(sys.stdin))
    json.dump(answer, sys.stdout)
