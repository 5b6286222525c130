"""Work ahead: what a generator yields is made by another thread while the caller computes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

Item = TypeVar("Item")

DEPTH = 2
"""Items that wait at most; more would only take memory."""


class _End:
    """What a generator ended with: nothing, or an error."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def made_ahead(items: Iterator[Item], depth: int = DEPTH) -> Generator[Item]:
    """The same items in the same order; an error of the generator is raised here.

    Args:
        items: is advanced in one other thread only.
        depth: items that wait at most.
    """
    waiting: queue.Queue[Item | _End] = queue.Queue(depth)
    closed = threading.Event()

    def make() -> None:
        end = _End(None)
        try:
            for item in items:
                if not _put(waiting, item, closed):
                    return
        except BaseException as error:  # every error belongs to the caller's thread
            end = _End(error)
        _put(waiting, end, closed)

    thread = threading.Thread(target=make, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            item = waiting.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        closed.set()
        thread.join()


def _put(waiting: queue.Queue[Item], item: Item, closed: threading.Event) -> bool:
    while not closed.is_set():
        try:
            waiting.put(item, timeout=0.2)
        except queue.Full:
            continue
        return True
    return False
