# SPDX-License-Identifier: Apache-2.0
"""QEMU's monitor, accessed through libvirt: commands with a timeout, and events.

libvirt's own calls wait without a limit for a frozen QEMU. So each guest has one thread for its commands, and
callers wait for a bounded time. A command that timed out may still be executed later.
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

__all__ = ["Event", "GoneError", "Guest", "Hypervisor", "MonitorError", "SilentError", "libvirtd_answers"]

LOG = logging.getLogger(__name__)

#: Number of events that are kept for each guest.
MAX_EVENTS = 512
_started = threading.Event()


@dataclasses.dataclass(frozen=True)
class Event:
    """A QEMU event.

    :param at: QEMU's own time, in seconds since the epoch
    :param number: grows with each event of a guest
    """

    name: str
    at: float
    data: Mapping[str, Any]
    number: int


class Guest:
    """The monitor of one QEMU. Calling it sends a command.

    :param timeout: seconds that a command may take
    """

    def __init__(self, uuid: str, lookup: Callable[[], libvirt.virDomain], timeout: float):
        self.uuid = uuid
        self._lookup = lookup
        self._timeout = timeout
        self._thread = futures.ThreadPoolExecutor(1, thread_name_prefix=f"qmp-{uuid[:8]}")
        self._events: collections.deque[Event] = collections.deque(maxlen=MAX_EVENTS)
        self._arrived = threading.Condition()
        self._number = 0

    def __call__(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """Send a command and return its result.

        :raises MonitorError: when QEMU refuses it
        :raises SilentError: when it times out
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

    def add_event(self, name: str, at: float, data: Mapping[str, Any]) -> Event:
        """Record an event and wake the threads that wait for one."""
        with self._arrived:
            self._number += 1
            event = Event(name, at, data, self._number)
            self._events.append(event)
            self._arrived.notify_all()
        return event

    def wait_for_event(self, wanted: Callable[[Event], bool], after: int, timeout: float) -> Event | None:
        """Return the first event that is wanted, or None when it times out.

        :param after: only events with a higher number
        :param timeout: seconds
        """
        deadline = time.monotonic() + timeout
        with self._arrived:
            while True:
                for event in self._events:
                    if event.number > after and wanted(event):
                        return event
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return None
                self._arrived.wait(remaining)

    def since(self, number: int) -> list[Event]:
        """Return the recorded events after a given one.

        :param number: that of the event
        """
        with self._arrived:
            return [event for event in self._events if event.number > number]

    def close(self) -> None:
        """End the guest's thread, as soon as it is idle."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class Hypervisor:
    """The libvirt of this host. Reconnects when libvirtd was restarted.

    :param on_event: called with each event of each guest, in a thread of its own; must not block
    :param on_reconnect: called after a reconnect; events may have been missed
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
        self._guests_lock = threading.Lock()  # events arrive while a connection is being opened

    def connection(self) -> libvirt.virConnect:
        """Return a working connection.

        :raises GoneError: when libvirtd does not answer
        """
        with self._lock:
            if self._connection is not None and self._connection.isAlive():
                return self._connection
            is_reconnect = self._connection is not None
            try:
                connection = libvirt.open(self._uri)
                connection.setKeepAlive(5, 3)
                libvirt_qemu.qemuMonitorEventRegister(connection, None, None, self._on_monitor_event, None, 0)
            except libvirt.libvirtError as error:
                raise GoneError(reasons.LIBVIRT_FAILED(text=str(error))) from error
            self._connection = connection
        if is_reconnect:
            LOG.info("Reconnected to libvirtd.")
            self._on_reconnect()
        return connection

    def domain(self, uuid: str) -> libvirt.virDomain | None:
        """Return the domain of a running QEMU, or None."""
        try:
            domain = self.connection().lookupByUUIDString(uuid)
            return domain if domain.isActive() else None
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return None
            raise GoneError(reasons.LIBVIRT_FAILED(text=str(error))) from error

    def running(self, uuid: str) -> libvirt.virDomain:
        """Return the domain of a running QEMU.

        :raises GoneError: when there is none
        """
        domain = self.domain(uuid)
        if domain is None:
            raise GoneError(reasons.NO_QEMU())
        return domain

    def guest(self, uuid: str) -> Guest:
        """Return the monitor of a guest, whether its QEMU runs or not."""
        with self._guests_lock:
            if uuid not in self._guests:
                self._guests[uuid] = Guest(uuid, lambda: self.running(uuid), self._timeout)
            return self._guests[uuid]

    def close_monitor(self, uuid: str) -> None:
        """Close the monitor of a guest that has ended."""
        with self._guests_lock:
            guest = self._guests.pop(uuid, None)
        if guest is not None:
            guest.close()

    def _on_monitor_event(
        self, connection: Any, domain: Any, name: str, seconds: int, micros: int, details: str, opaque: Any
    ) -> None:
        uuid = domain.UUIDString()
        with self._guests_lock:
            guest = self._guests.get(uuid)
        if guest is None:
            return  # a server that is not fault tolerant
        event = guest.add_event(name, seconds + micros / 1e6, json.loads(details) if details else {})
        try:
            self._on_event(uuid, event)
        except Exception:
            LOG.exception("Failed to process event %s of server %s", name, uuid)


def libvirtd_answers(uri: str, timeout: float) -> bool:
    """Return whether libvirtd answers a new process.

    :param timeout: seconds
    """
    program = "import libvirt, sys; libvirt.open(sys.argv[1]).getLibVersion()"
    try:
        finished = subprocess.run(
            [sys.executable, "-c", program, uri], timeout=timeout, capture_output=True, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return finished.returncode == 0


def _start_event_loop() -> None:
    """Start libvirt's event loop, once per process; it must run before the first connection."""
    if _started.is_set():
        return
    _started.set()
    libvirt.virEventRegisterDefaultImpl()
    libvirt.registerErrorHandler(lambda context, error: None, None)  # libvirt prints each error otherwise

    def run() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    threading.Thread(target=run, name="libvirt-events", daemon=True).start()
