"""Candidates made from others: prototypes with every choice of elements, substitution, rattling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from numpy.typing import NDArray

from atomfm_calc.errors import ConfigError, lookup
from atomfm_calc.screening.campaign import (
    DecoratedPrototypes,
    RattledStructures,
    SubstitutedStructures,
)
from atomfm_calc.screening.prototypes import PROTOTYPES
from atomfm_calc.screening.random_numbers import own_generator
from atomfm_calc.screening.readers.files import FileSource
from atomfm_calc.screening.structures import Rejection, StructureBlock, block_from_atoms


class DecoratedSource:
    """Every prototype with every choice of different elements; the last site varies fastest."""

    def __init__(self, settings: DecoratedPrototypes) -> None:
        """List the choices.

        Raises:
            UnknownNameError: no such prototype or element.
            ConfigError: a prototype has more kinds of sites than lists of elements were given.
        """
        self._scale = settings.radius_scale
        self._choices: list[tuple[str, tuple[str, ...]]] = []
        for name in settings.prototypes:
            n_kinds = lookup(PROTOTYPES, name, "prototype").n_kinds
            if n_kinds > len(settings.elements):
                raise ConfigError(
                    f"prototype {name!r} has {n_kinds} kinds of sites; elements lists "
                    f"{len(settings.elements)}"
                )
            for symbols in product(*settings.elements[:n_kinds]):
                if len(set(symbols)) == n_kinds:
                    self._choices.append((name, symbols))
        for symbol in {symbol for symbols in settings.elements for symbol in symbols}:
            lookup(atomic_numbers, symbol, "element", "the periodic table")
        self.n_candidates = len(self._choices)
        self.content: tuple[str, ...] = ()

    def read(self, start: int, stop: int) -> StructureBlock:
        """Crystals in which the nearest atoms are as far apart as their covalent radii say."""
        found = []
        for index in range(start, stop):
            name, symbols = self._choices[index]
            crystal = PROTOTYPES[name].crystal(symbols, self._scale)
            found.append((index, f"{name}-{'-'.join(symbols)}", crystal))
        return block_from_atoms(found)


class SubstitutedSource:
    """Each structure with each substitution."""

    def __init__(self, settings: SubstitutedStructures) -> None:
        """Open the files; UnknownNameError: a symbol that is no element."""
        self._base, self._settings = FileSource(settings.paths), settings
        for rule in settings.substitutions:
            for symbol in (*rule, *rule.values()):
                lookup(atomic_numbers, symbol, "element", "the periodic table")
        self.n_candidates = self._base.n_candidates * len(settings.substitutions)
        self.content = self._base.content

    def read(self, start: int, stop: int) -> StructureBlock:
        """The candidates of a range; rejected where there is nothing to exchange."""
        rules = self._settings.substitutions
        found, rejected = [], []
        bases, lost = _bases(self._base, start // len(rules), -(-stop // len(rules)))
        for index in range(start, stop):
            place, number = divmod(index, len(rules))
            rule = rules[number]
            text = ",".join(f"{old}>{new}" for old, new in rule.items())
            if place in lost:
                rejected.append(
                    replace(lost[place], index=index, name=f"{lost[place].name}|{text}")
                )
                continue
            name, atoms = bases[place]
            if not set(rule) & set(atoms.get_chemical_symbols()):
                detail = f"there is no {' or '.join(rule)}"
                rejected.append(
                    Rejection(index=index, name=f"{name}|{text}", reason="no-room", detail=detail)
                )
                continue
            found.append((index, f"{name}|{text}", self._exchange(atoms, rule)))
        return block_from_atoms(found, rejected)

    def _exchange(self, atoms: Atoms, rule: dict[str, str]) -> Atoms:
        changed: Atoms = atoms.copy()
        changed.set_chemical_symbols(
            [rule.get(name, name) for name in atoms.get_chemical_symbols()]
        )
        if self._settings.scale_volume and atoms.pbc.all():
            factor = covalent_radii[changed.numbers].mean() / covalent_radii[atoms.numbers].mean()
            changed.set_cell(atoms.cell.array * factor, scale_atoms=True)
        return changed


class RattledSource:
    """Each structure several times, displaced and strained."""

    def __init__(self, settings: RattledStructures) -> None:
        """Open the files; ConfigError: fewer than one copy, or a negative amplitude."""
        if settings.copies < 1 or min(settings.displacement, settings.strain) < 0.0:
            raise ConfigError(
                f"copies {settings.copies} must be at least 1, displacement "
                f"{settings.displacement} and strain {settings.strain} not negative"
            )
        self._base, self._settings = FileSource(settings.paths), settings
        self.n_candidates = self._base.n_candidates * settings.copies
        self.content = self._base.content

    def read(self, start: int, stop: int) -> StructureBlock:
        """The candidates of a range."""
        copies = self._settings.copies
        bases, lost = _bases(self._base, start // copies, -(-stop // copies))
        found, rejected = [], []
        for index in range(start, stop):
            place, copy = divmod(index, copies)
            if place in lost:
                rejected.append(
                    replace(lost[place], index=index, name=f"{lost[place].name}~{copy}")
                )
            else:
                name, atoms = bases[place]
                found.append((index, f"{name}~{copy}", self._shake(atoms, index)))
        return block_from_atoms(found, rejected)

    def _shake(self, atoms: Atoms, index: int) -> Atoms:
        settings = self._settings
        generator = own_generator(settings.seed, "rattle", index)
        shaken: Atoms = atoms.copy()
        shift = generator.normal(0.0, settings.displacement, (len(atoms), 3))
        strain = generator.normal(0.0, settings.strain, (3, 3))
        if atoms.pbc.any():
            change = np.eye(3) + 0.5 * (strain + strain.T)
            shaken.set_cell(atoms.cell.array @ change, scale_atoms=False)
            shaken.positions = atoms.positions @ change
        shaken.positions += shift
        return shaken


def _bases(
    source: FileSource, start: int, stop: int
) -> tuple[dict[int, tuple[str, Atoms]], dict[int, Rejection]]:
    """Structures and rejections of a range of another source, by their place in it."""
    block = source.read(start, stop)
    rows: Sequence[int] | NDArray[np.int64] = range(len(block))
    structures = {int(block.index[row]): (block.names[row], block.atoms(row)) for row in rows}
    return structures, {rejection.index: rejection for rejection in block.rejected}
