# SPDX-License-Identifier: Apache-2.0
"""Start, watch and stop the lab's processes, and no others."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence

import psutil

from lab.core.errors import LabError
from lab.core.identity import RECORD_AND_BECOME, Identity, ProcessStat
from lab.core.layout import VENV, Layout
from lab.core.patience import patient
from lab.core.service import Service

#: Environment variables of every started process: the lab's prefix, and the pid of the starter.
MARK = "COLO_LAB_PREFIX"
STARTER = "COLO_LAB_STARTER"
STOP_SECONDS = patient(20.0)
POLL_SECONDS = 0.05


class Supervisor:
    """The processes of one lab.

    A service runs in a session of its own, with its identity in a pid file; a stop or kill affects all
    processes of the session and no others. Every process has the lab's prefix in its environment, so that
    leftovers of a killed ``up`` can be found.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of the lab's processes, without proxies or OS_* variables of the caller."""
        return {
            "PATH": f"{VENV / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self._layout.prefix / "home"),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "ignore",
            MARK: str(self._layout.prefix),
            STARTER: str(os.getpid()),
            **(extra or {}),
        }

    def start(self, service: Service) -> bool:
        """Start ``service`` unless it runs. Return whether it was started."""
        if self.is_running(service.name):
            return False
        self.kill([service.name])  # workers that outlived their parent
        pid_file = self._layout.pid(service.name)
        pid_file.unlink(missing_ok=True)
        with open(
            os.open(self._layout.log(service.name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb"
        ) as log:
            child = subprocess.Popen(
                ["/bin/sh", "-c", RECORD_AND_BECOME, str(pid_file), *service.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment(service.environment),
                cwd=self._layout.prefix,
                start_new_session=True,
            )
        with self._lock:
            self._children[service.name] = child
        while Identity.read(pid_file) is None and child.poll() is None:
            time.sleep(0.002)
        return True

    def run(self, log_name: str, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Run a command, with its output in the log ``log_name``.

        :raises LabError: the command failed; has the end of the log
        """
        log = self._layout.log(log_name)
        with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as out:
            result = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self.environment(environment),
                cwd=self._layout.prefix,
                check=False,
            )
        if result.returncode:
            name = " ".join(os.path.basename(word) for word in argv[:4] if not word.startswith("-"))
            raise LabError(f"{name} ended with exit code {result.returncode}\n{self.log_tail(log_name)}")

    def log_tail(self, name: str, lines: int = 20) -> str:
        """Return the last lines of a log, with its path as the heading."""
        log = self._layout.log(name)
        try:
            text = log.read_text(errors="replace").splitlines()[-lines:]
        except FileNotFoundError:
            return f"(no log at {log})"
        return "\n".join([f"--- the last {len(text)} lines of {log}", *text])

    def pid(self, name: str) -> int | None:
        """Return the pid of a service, or None if it does not run."""
        identity = Identity.read(self._layout.pid(name))
        return identity.pid if identity and identity.is_running() else None

    def is_running(self, name: str) -> bool:
        """Return whether the service runs."""
        return self.pid(name) is not None

    def was_started(self, name: str) -> bool:
        """Return whether the service was started and not stopped since, and so should run."""
        return self._layout.pid(name).exists()

    def exit_code(self, name: str) -> int | None:
        """Return the exit code of a service; None if it runs, or was not started by this process."""
        child = self._children.get(name)
        return child.poll() if child else None

    def started_names(self) -> list[str]:
        """Return the services that were started and not stopped since."""
        return (
            sorted(entry.name for entry in self._layout.pids.iterdir()) if self._layout.pids.is_dir() else []
        )

    def stop(self, names: Iterable[str]) -> list[str]:
        """Terminate the services, all at once, and kill those that do not end. Return those that ran."""
        names = list(names)
        ran = self._end(names, signal.SIGTERM, STOP_SECONDS)
        for name in names:
            self._layout.pid(name).unlink(missing_ok=True)
        return ran

    def kill(self, names: Iterable[str]) -> list[str]:
        """Kill the services with SIGKILL, and keep their pid files. Return those that ran."""
        return self._end(list(names), signal.SIGKILL, STOP_SECONDS)

    def stop_strays(self) -> int:
        """Stop processes with the lab's mark but no pid file: those of a killed ``up``. Return the number."""
        recorded = {i.pid for i in map(Identity.read, map(self._layout.pid, self.started_names())) if i}
        strays = [process for process in psutil.process_iter() if self._is_stray(process, recorded)]
        for process in strays:
            _signal(process.pid, signal.SIGTERM)
        _, left = psutil.wait_procs(strays, timeout=STOP_SECONDS)
        for process in left:
            _signal(process.pid, signal.SIGKILL)
        return len(strays)

    def _is_stray(self, process: psutil.Process, recorded: set[int]) -> bool:
        """Return whether a process has the lab's mark but no ancestor in a recorded session.

        Ancestors matter because a helper of Erlang creates a session of its own below the broker.
        """
        try:
            if process.environ().get(MARK) != str(self._layout.prefix):
                return False
            family = [ProcessStat.of(member.pid) for member in (process, *process.parents())]
        except psutil.Error:
            return False
        return family[0] is not None and not any(stat and stat.session in recorded for stat in family)

    def _members(self, name: str) -> list[int]:
        """Return the pids in the service's session."""
        identity = Identity.read(self._layout.pid(name))
        if identity is None or not identity.owns_session():
            return []
        stats = (ProcessStat.of(pid) for pid in psutil.pids())
        return [stat.pid for stat in stats if stat and stat.session == identity.pid]

    def _end(self, names: list[str], signal_number: signal.Signals, timeout: float) -> list[str]:
        members = {name: self._members(name) for name in names}
        for pid in (pid for pids in members.values() for pid in pids):
            _signal(pid, signal_number)
        waiting = {name for name, pids in members.items() if pids}
        deadline = time.monotonic() + timeout
        while waiting and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            waiting = {name for name in waiting if self._members(name)}
        for pid in (pid for name in waiting for pid in self._members(name)):
            _signal(pid, signal.SIGKILL)
        for name in names:
            child = self._children.pop(name, None)
            if child:
                child.wait()
        return [name for name, pids in members.items() if pids]


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
