"""Many simulations at once, each in its own thread, whose structures are computed in one batch.

Each thread runs the ordinary code of ASE with a `LockstepCalc`. When all of them wait for forces,
the last to come computes what all have asked for. A small molecule takes a fraction of the time it
takes alone; the numbers differ by rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Condition
from typing import Any

from ase import Atoms
from ase.calculators.abc import GetPropertiesMixin

from atomfm_calc.calculators.batch import iterate_results
from atomfm_calc.calculators.evaluator import Evaluator, StructureResult
from atomfm_calc.calculators.setup import CalculatorSettings, prepare_model
from atomfm_calc.convert import voigt_stress
from atomfm_calc.errors import AtomFMError


@dataclass(eq=False)
class Request:
    """What one thread waits for."""

    atoms: Atoms
    head: str
    want: tuple[str, ...]
    answer: StructureResult | AtomFMError | None = field(default=None)


class Lockstep:
    """Computes for all threads together."""

    def __init__(self, model: str | Path, default_dtype: str = "float32") -> None:
        """Load the model once for all heads."""
        self._settings = CalculatorSettings(default_dtype=default_dtype)
        self._loaded = prepare_model(model, self._settings)
        self.card = self._loaded.card
        self._evaluators: dict[str, Evaluator] = {}
        self._turn = Condition()
        self._n_threads = 0
        self._waiting: list[Request] = []

    def run(
        self, tasks: Iterable[str], work: Callable[[str], None], n_together: int
    ) -> list[BaseException]:
        """Do every task, `n_together` at a time; returns what was raised."""
        queue: SimpleQueue[str] = SimpleQueue()
        for task in tasks:
            queue.put(task)
        self._n_threads = n_together
        with ThreadPoolExecutor(n_together) as pool:
            threads = [pool.submit(self._work_off, queue, work) for _ in range(n_together)]
        return [error for thread in threads if (error := thread.exception()) is not None]

    def result(self, atoms: Atoms, head: str, want: Sequence[str]) -> StructureResult:
        """Wait for the others, then for the result.

        Raises:
            AtomFMError: as in `FoundationCalc`, of this structure alone.
        """
        request = Request(atoms, head, tuple(want))
        with self._turn:
            self._waiting.append(request)
            self._compute_if_all_wait()
            self._turn.wait_for(lambda: request.answer is not None)
        if isinstance(request.answer, AtomFMError):
            raise request.answer
        assert request.answer is not None
        return request.answer

    def _work_off(self, queue: SimpleQueue[str], work: Callable[[str], None]) -> None:
        try:
            while True:
                work(queue.get_nowait())
        except Empty:
            pass
        finally:
            with self._turn:
                self._n_threads -= 1
                self._compute_if_all_wait()

    def _compute_if_all_wait(self) -> None:
        if not self._waiting or len(self._waiting) < self._n_threads:
            return
        requests, self._waiting = self._waiting, []
        for kind in sorted({(request.head, request.want) for request in requests}):
            self._compute([request for request in requests if (request.head, request.want) == kind])
        self._turn.notify_all()

    def _compute(self, requests: list[Request]) -> None:
        """Answer requests for one head; those of a batch that is refused one by one."""
        try:
            answers = list(self._results(requests))
        except AtomFMError as error:
            if len(requests) == 1:
                requests[0].answer = error
            else:
                for request in requests:
                    self._compute([request])
            return
        for request, answer in zip(requests, answers, strict=True):
            request.answer = answer

    def _results(self, requests: list[Request]) -> Iterable[StructureResult]:
        head = requests[0].head
        if head not in self._evaluators:
            settings = CalculatorSettings(head=head, default_dtype=self._settings.default_dtype)
            self._evaluators[head] = Evaluator(self._loaded, settings)
        structures = [request.atoms for request in requests]
        return iterate_results(self._evaluators[head], structures, want=requests[0].want)


class LockstepCalc(GetPropertiesMixin):
    """Calculator of one thread and one structure, for ASE's dynamics and optimizers.

    Energy, forces and stress as `FoundationCalc` has them. It keeps results for the positions and
    the cell alone: ASE's own cache takes half a millisecond, more than a step has for each.
    """

    def __init__(self, lockstep: Lockstep, head: str, with_stress: bool = False) -> None:
        """For a head; stress on request, for cells that are relaxed."""
        self._lockstep = lockstep
        self._head = head
        self._want = ("energy", "forces", "stress") if with_stress else ("energy", "forces")
        self._state: tuple[bytes, bytes] | None = None
        self._results: dict[str, Any] = {}

    def get_property(self, name: str, atoms: Atoms, allow_calculation: bool = True) -> Any:
        """A result, computed if the structure has moved; errors as in `Lockstep.result`."""
        state = atoms.positions.tobytes(), atoms.cell.array.tobytes()
        if state != self._state:
            found = self._lockstep.result(atoms, self._head, self._want)
            self._results = {
                "energy": found.energy,
                "free_energy": found.energy,
                "forces": found.forces,
                "stress": None if found.stress is None else voigt_stress(found.stress),
            }
            self._state = state
        return copy(self._results[name])
