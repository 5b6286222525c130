# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # torch-sim, i-PI and what can be exported
#
# A model reaches other programs in three ways: as an ASE calculator, as a model of torch-sim,
# which computes many systems in one pass, and over a socket with the protocol of i-PI. There is
# no file for LAMMPS; why not is said at the end.

# %%
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from ase.build import bulk
from ase.calculators.socketio import SocketIOCalculator
from ase.io import write
from ase.optimize import FIRE

from atomfm_calc import FoundationCalc
from atomfm_calc.calculators.setup import CalculatorSettings

folder = Path(tempfile.mkdtemp(prefix="atomfm-engines-"))
settings = CalculatorSettings(default_dtype="float64", device="cpu")
crystals = [bulk("Si", cubic=True), bulk("NaCl", "rocksalt", a=5.6), bulk("MgO", "rocksalt", a=4.4)]
for crystal in crystals:
    crystal.rattle(0.1, seed=1)

# %% [markdown]
# ## Many systems at once with torch-sim
#
# `pip install "atomfm[torchsim]"`. Systems of any size are relaxed or heated in one batch; on a
# GPU that is what fills it. [batched_dynamics.py](batched_dynamics.py) is a longer example, head
# by head.

# %%
if find_spec("torch_sim") is None:
    print("torch-sim is not installed: nothing of this cell has run")
else:
    import torch_sim as ts

    from atomfm_calc.calculators.torchsim import TorchSimModel

    model = TorchSimModel("painn-lead", settings)
    fire = ts.Optimizer.fire if hasattr(ts, "Optimizer") else ts.optimizers.fire  # from 0.4, in 0.3
    start = model(ts.io.atoms_to_state(crystals, model.device, model.dtype))["energy"]
    relaxed = ts.optimize(crystals, model, optimizer=fire, max_steps=100)
    for crystal, before, after in zip(crystals, start, relaxed.energy, strict=True):
        print(
            f"{crystal.get_chemical_formula():6} {float(before):10.4f} -> {float(after):10.4f} eV"
        )
        direct = FoundationCalc("painn-lead", default_dtype="float64", device="cpu")
        assert abs(direct.get_potential_energy(crystal) - float(before)) < 1e-6
    assert (relaxed.energy < start).all()

# %% [markdown]
# ## Over a socket
#
# The engine is the server: i-PI, or here ASE's optimizer in the place of it. The calculator is a
# client in a process of its own, on the same machine or another, and serves energy, forces and
# stress. The protocol carries positions and cell only: elements, charge and multiplicity are
# those of the client's file.

# %%
start = crystals[0]
write(folder / "start.extxyz", start)
CLIENT = """
import sys
from ase.calculators.socketio import SocketClient
from ase.io import read
from atomfm_calc import FoundationCalc

address, file = sys.argv[1:]
atoms = read(file)
atoms.calc = FoundationCalc("painn-lead", default_dtype="float64", device="cpu")
SocketClient(unixsocket=address, timeout=120).run(atoms, use_stress=True)
"""
(folder / "client.py").write_text(CLIENT)
address = f"atomfm-{os.getpid()}"


def relax_and_record(atoms, calculator):
    """Energies (eV) along a relaxation of an engine that knows nothing of the model."""
    atoms.calc = calculator
    energies = []
    optimizer = FIRE(atoms, logfile=None)
    optimizer.attach(lambda: energies.append(atoms.get_potential_energy()))
    optimizer.run(fmax=0.05, steps=30)
    return np.array(energies), atoms.get_stress()


with SocketIOCalculator(unixsocket=address, timeout=120) as engine:
    client = subprocess.Popen(
        [sys.executable, str(folder / "client.py"), address, str(folder / "start.extxyz")]
    )
    remote, remote_stress = relax_and_record(start.copy(), engine)
client.wait(timeout=60)
direct, direct_stress = relax_and_record(
    start.copy(), FoundationCalc("painn-lead", default_dtype="float64", device="cpu")
)
print(f"{len(remote)} steps over the socket, {len(direct)} without")
print(f"energies differ by {np.abs(remote - direct).max():.1e} eV, ", end="")
print(f"stress by {np.abs(remote_stress - direct_stress).max():.1e} eV/Å³")
assert np.abs(remote - direct).max() < 1e-7

figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
axes.semilogy(direct - direct.min() + 1e-5, "-", label="calculator in the same process")
axes.semilogy(remote - direct.min() + 1e-5, "o", mfc="none", label="over the socket")
axes.set(xlabel="step", ylabel="energy above the lowest (eV)")
axes.legend()
plt.show()

# %% [markdown]
# For i-PI, `docs/engines.md` has the input: any thermostat, barostat, path-integral or replica
# method of it then runs on any head.
#
# ## What can be exported
#
# - **A model folder**: weights (safetensors) and card. `python -m training export` writes it;
#   copy it anywhere and give its path to `FoundationCalc`. Nothing in it can run code.
# - **A calculator as a description**: `calc.todict()` is JSON, and `FoundationCalc.fromdict`
#   builds the same calculator again, or refuses if the weights have changed.
# - **Not a TorchScript file** for LAMMPS or GROMACS (metatomic): TorchScript knows neither the
#   fused kernels nor the Python of the modules, and is deprecated. `docs/engines.md` has what was
#   tried.

# %%
described = FoundationCalc("painn-lead", default_dtype="float64", device="cpu").todict()
again = FoundationCalc.fromdict(described)
print({key: described[key] for key in ("model", "head", "default_dtype", "weights_sha256")})
assert again.get_potential_energy(start) == direct[0]
