"""Many simulations at once, each in its own thread, whose structures are computed in one batch.

Each thread runs the ordinary code of ASE with a `LockstepCalc`. When all of them wait for forces,
the last to come computes what all have asked for. A small molecule takes a fraction of the time it
takes alone; the numbers differ by rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Condition
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

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


class LockstepCalc(Calculator):
    """ASE calculator of one thread; energy, forces and stress as `FoundationCalc` has them."""

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012

    def __init__(self, lockstep: Lockstep, head: str, with_stress: bool = False) -> None:
        """For a head; stress on request, for cells that are relaxed."""
        super().__init__()
        self._lockstep = lockstep
        self._head = head
        self._want = ("energy", "forces", "stress") if with_stress else ("energy", "forces")

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """All results at once."""
        super().calculate(atoms, list(properties), list(system_changes))
        found = self._lockstep.result(self.atoms, self._head, self._want)
        results: dict[str, Any] = {"energy": found.energy, "free_energy": found.energy}
        results["forces"] = found.forces
        if found.stress is not None:
            results["stress"] = voigt_stress(found.stress)
        self.results = results
