"""The PySCF door: PBE and PBE0 of molecules, def2-SVP, density fitting, analytic gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyscf
from ase.data import chemical_symbols
from ase.units import Bohr, Hartree
from numpy.typing import NDArray
from pyscf import dft, gto

from atomfm_calc.errors import LabelError
from atomfm_calc.sample import Sample
from training.collection.engines import check_targets


@dataclass(frozen=True, kw_only=True)
class PySCFEngine:
    """Energy and forces of molecules by Kohn-Sham DFT, unrestricted unless a singlet."""

    functional: Literal["pbe", "pbe0"]
    """Exchange-correlation functional in PySCF's name."""
    basis: str = "def2-svp"
    """Gaussian basis set."""
    grid_level: int = 1
    """PySCF's integration grid, 0 (coarse) to 9; 1 is within 1 meV of 3 for small molecules."""
    max_cycles: int = 80
    """Self-consistency cycles before giving up."""

    def label(self, sample: Sample) -> dict[str, NDArray[np.float64]]:
        """Energy and forces of a molecule; see `Engine.label`."""
        if sample.pbc.any():
            raise LabelError("unsupported-periodicity: this engine labels molecules only")
        symbols = [chemical_symbols[number] for number in sample.atomic_numbers]
        try:
            molecule = gto.M(
                atom=list(zip(symbols, sample.positions.tolist(), strict=True)),
                basis=self.basis,
                charge=sample.charge,
                spin=sample.multiplicity - 1,
                unit="Angstrom",
                verbose=0,
            )
        except (RuntimeError, KeyError) as error:
            raise LabelError(f"pyscf-error: {error}") from error
        method = dft.RKS(molecule) if sample.multiplicity == 1 else dft.UKS(molecule)
        method = method.density_fit()
        method.xc = self.functional
        method.grids.level = self.grid_level
        method.max_cycle = self.max_cycles
        method.conv_tol = 1e-9
        energy = method.kernel()
        if not method.converged:
            raise LabelError(f"not-converged: no self-consistency in {self.max_cycles} cycles")
        gradient = method.nuc_grad_method()
        gradient.grid_response = True
        targets = {
            "energy": np.asarray(energy * Hartree, dtype=np.float64),
            "forces": -np.asarray(gradient.kernel()) * (Hartree / Bohr),
        }
        check_targets(targets)
        return targets

    def versions(self) -> dict[str, str]:
        """Version of PySCF."""
        return {"pyscf": pyscf.__version__}
