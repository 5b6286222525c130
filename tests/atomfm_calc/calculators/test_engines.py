"""The example of docs/engines.md: forces for another program over a socket."""

from __future__ import annotations

import os
import re
import threading

import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.socketio import SocketClient, SocketIOCalculator

from atomfm_calc.calculators.calculator import FoundationCalc
from tests.atomfm_calc.calculators.conftest import Make
from tests.house.sources import ROOT

PAGE = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")


def _crystal() -> Atoms:
    crystal = bulk("NaCl", "rocksalt", a=5.4)
    crystal.rattle(0.1, seed=1)
    return crystal


def test_an_engine_gets_the_results_of_the_calculator_over_a_socket(make_calc: Make) -> None:
    direct, remote = _crystal(), _crystal()
    direct.calc = make_calc(default_dtype="float64")
    template = _crystal()
    template.calc = make_calc(default_dtype="float64")
    address = f"atomfm-{os.getpid()}"
    with SocketIOCalculator(unixsocket=address, timeout=20) as engine:
        client = threading.Thread(
            target=lambda: SocketClient(unixsocket=address, timeout=20).run(
                template, use_stress=True
            )
        )
        client.start()
        remote.calc = engine
        for atoms in (direct, remote):
            atoms.positions[0, 0] += 0.05
        # positions travel in bohr, with a rounding of 1e-16 each way
        assert remote.get_potential_energy() == pytest.approx(
            direct.get_potential_energy(), abs=1e-8
        )
        assert remote.get_forces() == pytest.approx(direct.get_forces(), abs=1e-8)
        assert remote.get_stress() == pytest.approx(direct.get_stress(), abs=1e-8)
    client.join(timeout=20)
    assert not client.is_alive()


def test_the_page_shows_python_that_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        compile(block, "docs/engines.md", "exec")
    assert FoundationCalc.__name__ in blocks[0]
