"""Without a network everything works, because nothing asks for one."""

from __future__ import annotations

import socket

import pytest
from ase.build import molecule

from atomfm_calc.calculators.calculator import FoundationCalc
from atomfm_calc.registry.catalog import list_models
from tests.house.sources import PACKAGES, imports_of, python_files

DOORS = ("urllib.request", "http", "requests", "httpx", "ftplib", "socket", "huggingface_hub")


@pytest.mark.parametrize("path", python_files(*PACKAGES))
def test_no_file_opens_a_connection(path: str) -> None:
    found = [
        name for name in imports_of(path) for door in DOORS if f"{name}.".startswith(f"{door}.")
    ]
    assert not found


@pytest.mark.skipif(not list_models(), reason="no model ships with this copy")
def test_the_shipped_model_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    calc = FoundationCalc(device="cpu", kernel="reference")
    assert calc.get_forces(molecule("H2O")).shape == (3, 3)
