"""A program in a process and an environment of its own: the side that asks."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

EXCEPTION = re.compile(r"[\w.]+(Error|Exception)\b")
"""Where the last part of a traceback begins."""
Answer = dict[str, Any]


class ProgramAbsentError(Exception):
    """The program did not start, or ended; the text is the last that it said."""


class WorkerProcess:
    """Reads a line of JSON, answers with a line of JSON; the first line comes without being asked.

    Attributes:
        hello: that first line.
    """

    def __init__(self, command: Sequence[object], environment: Mapping[str, str]) -> None:
        """Start it.

        Args:
            command: program and arguments.
            environment: variables that differ from those of this process.

        Raises:
            ProgramAbsentError: it ended before its first line.
        """
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        self._process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ | environment,
            text=True,
        )
        self.hello = self._answer()

    def ask(self, question: Mapping[str, Any], seconds: float | None = None) -> Answer:
        """The answer to a question.

        Raises:
            ProgramAbsentError: the process ended, or did not answer within `seconds` and was ended.
        """
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        if seconds is not None and not select.select([self._process.stdout], [], [], seconds)[0]:
            self._process.kill()
            self._process.wait()
            raise ProgramAbsentError(f"no answer within {seconds:.0f} s")
        return self._answer()

    def close(self) -> None:
        """Let it end."""
        self._process.communicate()
        self._errors.close()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _answer(self) -> Answer:
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().splitlines()
        first = max((i for i, text in enumerate(said) if EXCEPTION.match(text)), default=-1)
        reason = " ".join(text.strip() for text in said[first:])[:300]
        raise ProgramAbsentError(reason or f"exit code {self._process.returncode}")
