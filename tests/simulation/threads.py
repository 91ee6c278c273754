# SPDX-License-Identifier: Apache-2.0
"""Cooperative threads that yield before each action visible to others; the test's driver schedules them."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import greenlet
from oslo_db import exception as db_exception

from nova_colo.db import Database


class Killed(BaseException):
    """Ends a thread of a killed engine. It is a BaseException, so that no ``except Exception`` catches it."""


class Thread(greenlet.greenlet):
    """A thread of an engine or of nova-compute. It starts at the first switch to it.

    :param main: the greenlet of the driver
    """

    killed = False

    def __init__(self, function: Callable[[], object], main: greenlet.greenlet):
        super().__init__(self._guarded(function), main)
        self.function_name = getattr(function, "__qualname__", "")

    @staticmethod
    def _guarded(function: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            with contextlib.suppress(Killed):
                function()

        return run

    def pause(self) -> None:
        """Yield to the other threads."""
        self.parent.switch()
        if self.killed:
            raise Killed


def pause() -> None:
    """Yield to other threads, when called in a :class:`Thread`."""
    current = greenlet.getcurrent()
    if isinstance(current, Thread):
        current.pause()


class PausingEvent:
    """A threading.Event for an engine that yields in wait()."""

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
    """A threading.Lock for an engine that yields while it is locked."""

    def __init__(self) -> None:
        self._held = False

    def __enter__(self) -> None:
        while self._held:
            pause()
        self._held = True

    def __exit__(self, *exc: object) -> None:
        self._held = False


class PausingDatabase:
    """The real database, which yields before each transaction.

    ``rollback_after``: number of writing transactions before one has a deadlock; None for never.
    """

    def __init__(self, database: Database):
        self._database = database
        self.rollback_after: int | None = None

    @contextlib.contextmanager
    def reader(self) -> Iterator[Any]:
        pause()
        with self._database.reader() as session:
            yield session

    @contextlib.contextmanager
    def writer(self) -> Iterator[Any]:
        pause()
        deadlock = self.rollback_after == 0
        if self.rollback_after is not None:
            self.rollback_after = None if deadlock else self.rollback_after - 1
        with self._database.writer() as session:
            yield session
            if deadlock:
                raise db_exception.DBDeadlock()


class Pausing:
    """Wrapper of an object that an engine calls, which yields before each call."""

    def __init__(self, target: object):
        self._target = target

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._target, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            pause()
            return method(*args, **kwargs)

        return call
