# SPDX-License-Identifier: Apache-2.0
"""QEMU's monitor by way of libvirt: commands that end in time, and events.

libvirt's own calls wait for QEMU without an end, and a QEMU may be frozen. So each guest has one thread for its commands, and
who waits for an answer waits for a bounded time. What could not be answered in time may still be done later.
"""

import collections
import dataclasses
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent import futures
from typing import Any

import libvirt
import libvirt_qemu
from oslo_log import log as logging

from nova_colo.agent.replication import GoneError, MonitorError, SilentError
from nova_colo.pair import reasons

__all__ = ["Event", "GoneError", "Guest", "Hypervisor", "MonitorError", "SilentError", "answers"]

LOG = logging.getLogger(__name__)

#: Events of a guest that are kept for those who wait for one.
KEPT = 512
_started = threading.Event()


@dataclasses.dataclass(frozen=True)
class Event:
    """An event of QEMU's.

    :param at: QEMU's own time, in seconds since the epoch
    :param number: grows with each event of a guest
    """

    name: str
    at: float
    data: Mapping[str, Any]
    number: int


class Guest:
    """One QEMU. Calling it sends a command.

    :param timeout: seconds that it may take to answer
    """

    def __init__(self, uuid: str, lookup: Callable[[], libvirt.virDomain], timeout: float):
        self.uuid = uuid
        self._lookup = lookup
        self._timeout = timeout
        self._thread = futures.ThreadPoolExecutor(1, thread_name_prefix=f"qmp-{uuid[:8]}")
        self._events: collections.deque[Event] = collections.deque(maxlen=KEPT)
        self._heard = threading.Condition()
        self._number = 0

    def __call__(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """Send a command and return its answer.

        :raises MonitorError: when QEMU refuses it
        :raises SilentError: when there is no answer in time
        :raises GoneError: when there is no such QEMU
        """
        request = json.dumps(
            {"execute": command, "arguments": arguments} if arguments else {"execute": command}
        )
        answering = self._thread.submit(lambda: libvirt_qemu.qemuMonitorCommand(self._lookup(), request, 0))
        try:
            answer = json.loads(answering.result(self._timeout))
        except futures.TimeoutError as error:
            answering.cancel()
            raise SilentError(reasons.QEMU_SILENT(command=command, seconds=self._timeout)) from error
        except libvirt.libvirtError as error:
            raise GoneError(reasons.LIBVIRT_FAILED(text=str(error))) from error
        if "error" in answer:
            raise MonitorError(reasons.QEMU_REFUSED(command=command, text=answer["error"]["desc"]))
        return answer["return"]

    @property
    def position(self) -> int:
        """The number of the last event."""
        return self._number

    def heard(self, name: str, at: float, data: Mapping[str, Any]) -> Event:
        """Take an event in."""
        with self._heard:
            self._number += 1
            event = Event(name, at, data, self._number)
            self._events.append(event)
            self._heard.notify_all()
        return event

    def wait_for_event(self, wanted: Callable[[Event], bool], after: int, timeout: float) -> Event | None:
        """Return the first event that is wanted, or None when there is none in time.

        :param after: only events with a higher number
        :param timeout: seconds
        """
        deadline = time.monotonic() + timeout
        with self._heard:
            while True:
                for event in self._events:
                    if event.number > after and wanted(event):
                        return event
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._heard.wait(left)

    def since(self, number: int) -> list[Event]:
        """Return the events after one, as far as they are kept.

        :param number: that of the event
        """
        with self._heard:
            return [event for event in self._events if event.number > number]

    def close(self) -> None:
        """End its thread, as soon as it can."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class Hypervisor:
    """This host's libvirt. The connection is made again when libvirtd was restarted.

    :param on_event: called with each event of each guest, in a thread of its own; must not wait
    :param on_reconnect: called when events are heard again, some of which may have been missed
    """

    def __init__(
        self,
        uri: str,
        timeout: float,
        on_event: Callable[[str, Event], None],
        on_reconnect: Callable[[], None],
    ):
        _start_event_loop()
        self._uri = uri
        self._timeout = timeout
        self._on_event = on_event
        self._on_reconnect = on_reconnect
        self._lock = threading.RLock()
        self._connection: libvirt.virConnect | None = None
        self._guests: dict[str, Guest] = {}
        self._guests_lock = threading.Lock()  # events come while a connection is being made

    def connection(self) -> libvirt.virConnect:
        """Return a connection that works.

        :raises GoneError: when libvirtd does not answer
        """
        with self._lock:
            if self._connection is not None and self._connection.isAlive():
                return self._connection
            again = self._connection is not None
            try:
                made = libvirt.open(self._uri)
                made.setKeepAlive(5, 3)
                libvirt_qemu.qemuMonitorEventRegister(made, None, None, self._heard, None, 0)
            except libvirt.libvirtError as error:
                raise GoneError(reasons.LIBVIRT_FAILED(text=str(error))) from error
            self._connection = made
        if again:
            LOG.info("Connected to libvirtd again.")
            self._on_reconnect()
        return made

    def domain(self, uuid: str) -> libvirt.virDomain | None:
        """Return a domain whose QEMU is there, or None."""
        try:
            found = self.connection().lookupByUUIDString(uuid)
            return found if found.isActive() else None
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return None
            raise GoneError(reasons.LIBVIRT_FAILED(text=str(error))) from error

    def running(self, uuid: str) -> libvirt.virDomain:
        """Return a domain whose QEMU is there.

        :raises GoneError: when there is none
        """
        found = self.domain(uuid)
        if found is None:
            raise GoneError(reasons.NO_QEMU())
        return found

    def guest(self, uuid: str) -> Guest:
        """Return the monitor of a guest, whether its QEMU is there or not."""
        with self._guests_lock:
            if uuid not in self._guests:
                self._guests[uuid] = Guest(uuid, lambda: self.running(uuid), self._timeout)
            return self._guests[uuid]

    def forget(self, uuid: str) -> None:
        """Forget the monitor of a guest that has ended."""
        with self._guests_lock:
            guest = self._guests.pop(uuid, None)
        if guest is not None:
            guest.close()

    def _heard(
        self, connection: Any, domain: Any, name: str, seconds: int, micros: int, details: str, opaque: Any
    ) -> None:
        uuid = domain.UUIDString()
        event = self.guest(uuid).heard(name, seconds + micros / 1e6, json.loads(details) if details else {})
        try:
            self._on_event(uuid, event)
        except Exception:
            LOG.exception("The event %s of %s could not be taken in.", name, uuid)


def answers(uri: str, timeout: float) -> bool:
    """Tell whether libvirtd answers a process that has just been started.

    :param timeout: seconds
    """
    ask = "import libvirt, sys; libvirt.open(sys.argv[1]).getLibVersion()"
    try:
        done = subprocess.run(
            [sys.executable, "-c", ask, uri], timeout=timeout, capture_output=True, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _start_event_loop() -> None:
    """Start libvirt's event loop, once for the process; it must be there before the first connection."""
    if _started.is_set():
        return
    _started.set()
    libvirt.virEventRegisterDefaultImpl()
    libvirt.registerErrorHandler(lambda context, error: None, None)  # else each error is printed, too

    def run() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    threading.Thread(target=run, name="libvirt-events", daemon=True).start()
