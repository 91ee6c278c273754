# SPDX-License-Identifier: Apache-2.0
"""Start, watch and stop the lab's processes, and nobody else's."""

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

#: What the environment of everything that is started says: for which lab, and by which process.
MARK = "COLO_LAB_PREFIX"
STARTER = "COLO_LAB_STARTER"
STOP_SECONDS = patient(20.0)
POLL_SECONDS = 0.05


class Supervisor:
    """The processes of one lab.

    A service is started in a session of its own, with its identity in a pid file; a stop or kill reaches all of the
    session and nothing else. Everything started carries the lab's prefix in its environment, by which what a killed
    ``up`` left half-way is found again.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of the lab's processes: small, so that no proxy or OS_* of the caller gets in."""
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
        """Start ``service`` unless it runs. Returns whether it had to be started."""
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
        """Run a command to its end, its output in the log ``log_name``. Raises LabError with that when it fails."""
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
        """Return the last lines of a log with a heading that says where it is."""
        log = self._layout.log(name)
        try:
            text = log.read_text(errors="replace").splitlines()[-lines:]
        except FileNotFoundError:
            return f"(no log at {log})"
        return "\n".join([f"--- the last {len(text)} lines of {log}", *text])

    def pid(self, name: str) -> int | None:
        """Return the pid of a running service, None when it does not run."""
        identity = Identity.read(self._layout.pid(name))
        return identity.pid if identity and identity.is_running() else None

    def is_running(self, name: str) -> bool:
        """Tell whether the service runs."""
        return self.pid(name) is not None

    def was_started(self, name: str) -> bool:
        """Tell whether the service was started and not stopped since: it should run."""
        return self._layout.pid(name).exists()

    def exit_code(self, name: str) -> int | None:
        """Return how a service that this process started ended; None when it runs or when that is not known."""
        child = self._children.get(name)
        return child.poll() if child else None

    def started_names(self) -> list[str]:
        """Return the services that were started and not stopped since."""
        return (
            sorted(entry.name for entry in self._layout.pids.iterdir()) if self._layout.pids.is_dir() else []
        )

    def stop(self, names: Iterable[str]) -> list[str]:
        """Ask the services to end, all at once, and kill what has not ended in time. Returns those that had run."""
        names = list(names)
        ran = self._end(names, signal.SIGTERM, STOP_SECONDS)
        for name in names:
            self._layout.pid(name).unlink(missing_ok=True)
        return ran

    def kill(self, names: Iterable[str]) -> list[str]:
        """Kill every process of the services with SIGKILL; they stay on record, dead. Returns those that had run."""
        return self._end(list(names), signal.SIGKILL, STOP_SECONDS)

    def stop_strays(self) -> int:
        """Stop what carries the lab's mark and is on no record: commands of a killed ``up``. Returns how many."""
        recorded = {i.pid for i in map(Identity.read, map(self._layout.pid, self.started_names())) if i}
        strays = [process for process in psutil.process_iter() if self._is_stray(process, recorded)]
        for process in strays:
            _signal(process.pid, signal.SIGTERM)
        _, left = psutil.wait_procs(strays, timeout=STOP_SECONDS)
        for process in left:
            _signal(process.pid, signal.SIGKILL)
        return len(strays)

    def _is_stray(self, process: psutil.Process, recorded: set[int]) -> bool:
        """Tell whether a process carries the lab's mark but descends from no recorded session.

        Descent counts because Erlang's helper begins a session of its own below the broker.
        """
        try:
            if process.environ().get(MARK) != str(self._layout.prefix):
                return False
            family = [ProcessStat.of(member.pid) for member in (process, *process.parents())]
        except psutil.Error:
            return False
        return family[0] is not None and not any(stat and stat.session in recorded for stat in family)

    def _members(self, name: str) -> list[int]:
        """Return the pids of the service's session."""
        identity = Identity.read(self._layout.pid(name))
        if identity is None or not identity.owns_session():
            return []
        stats = (ProcessStat.of(pid) for pid in psutil.pids())
        return [stat.pid for stat in stats if stat and stat.session == identity.pid]

    def _end(self, names: list[str], signal_number: signal.Signals, patience: float) -> list[str]:
        members = {name: self._members(name) for name in names}
        for pid in (pid for pids in members.values() for pid in pids):
            _signal(pid, signal_number)
        waiting = {name for name, pids in members.items() if pids}
        give_up = time.monotonic() + patience
        while waiting and time.monotonic() < give_up:
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
