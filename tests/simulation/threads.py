# SPDX-License-Identifier: Apache-2.0
"""Threads that run one at a time and pause before whatever others could notice; who drives them says who goes on."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import greenlet
from oslo_db import exception as db_exception

from nova_colo.db import Database


class Killed(BaseException):
    """Ends a thread of an engine that was killed: no ``except Exception`` sees it."""


class Thread(greenlet.greenlet):
    """A thread of an engine or of nova-compute. It begins when it is switched to.

    :param main: who drives it
    """

    killed = False

    def __init__(self, function: Callable[[], object], main: greenlet.greenlet):
        super().__init__(self._guarded(function), main)
        self.does = getattr(function, "__qualname__", "")

    @staticmethod
    def _guarded(function: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            with contextlib.suppress(Killed):
                function()

        return run

    def pause(self) -> None:
        """Let the others run."""
        self.parent.switch()
        if self.killed:
            raise Killed


def pause() -> None:
    """Let others run, when this is such a thread."""
    current = greenlet.getcurrent()
    if isinstance(current, Thread):
        current.pause()


class PausingEvent:
    """What threading.Event is to an engine."""

    def __init__(self) -> None:
        self._set = False

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout: float) -> bool:
        pause()
        return self._set


class PausingLock:
    """What threading.Lock is to an engine."""

    def __init__(self) -> None:
        self._held = False

    def __enter__(self) -> None:
        while self._held:
            pause()
        self._held = True

    def __exit__(self, *exc: object) -> None:
        self._held = False


class PausingDatabase:
    """The real database; others may run before each transaction.

    ``undone``: after how many more that write, one is undone because of a deadlock; None for none.
    """

    def __init__(self, database: Database):
        self._database = database
        self.undone: int | None = None

    @contextlib.contextmanager
    def reader(self) -> Iterator[Any]:
        pause()
        with self._database.reader() as session:
            yield session

    @contextlib.contextmanager
    def writer(self) -> Iterator[Any]:
        pause()
        deadlock = self.undone == 0
        if self.undone is not None:
            self.undone = None if deadlock else self.undone - 1
        with self._database.writer() as session:
            yield session
            if deadlock:
                raise db_exception.DBDeadlock()


class Pausing:
    """Something that an engine calls; others may run before each call."""

    def __init__(self, target: object):
        self._target = target

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._target, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            pause()
            return method(*args, **kwargs)

        return call
