# SPDX-License-Identifier: Apache-2.0
"""Identify a process by pid, start time and boot id, since a pid alone is recycled."""

from dataclasses import dataclass
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

#: A shell script that records its own identity and then executes the service, which keeps pid and start time.
#: So a running service always has its pid file, even if the starter is killed at any moment.
RECORD_AND_BECOME = (
    f'read -r s </proc/$$/stat; read -r b <{BOOT_ID}; umask 077; echo "$s $b" >"$0"; exec "$@"'
)


@dataclass(frozen=True)
class ProcessStat:
    """The fields of /proc/PID/stat that identify a process (proc_pid_stat(5))."""

    pid: int
    state: str
    session: int
    started: int

    @classmethod
    def parse(cls, line: str) -> "ProcessStat":
        """Return the fields of a line of /proc/PID/stat, where the command's name may have any character."""
        head, _, tail = line.rpartition(")")
        fields = tail.split()
        return cls(pid=int(head.split()[0]), state=fields[0], session=int(fields[3]), started=int(fields[19]))

    @classmethod
    def of(cls, pid: int) -> "ProcessStat | None":
        """Return the stat of ``pid``, or None if there is no such process or only its zombie."""
        try:
            stat = cls.parse(Path(f"/proc/{pid}/stat").read_text())
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if stat.state in "ZX" else stat


@dataclass(frozen=True)
class Identity:
    """The identity of a started process."""

    pid: int
    started: int
    boot: str

    @classmethod
    def read(cls, pid_file: Path) -> "Identity | None":
        """Return the identity in a pid file, or None if the file is missing or incomplete."""
        try:
            line, boot = pid_file.read_text().rsplit(maxsplit=1)
            stat = ProcessStat.parse(line)
        except (FileNotFoundError, ValueError, IndexError):
            return None
        return cls(stat.pid, stat.started, boot)

    def is_running(self) -> bool:
        """Return whether this process runs, and not another one with a recycled pid."""
        now = ProcessStat.of(self.pid)
        return now is not None and now.started == self.started and self.boot == BOOT_ID.read_text().strip()

    def owns_session(self) -> bool:
        """Return whether the session with this pid as its id is the one that this process created.

        Linux does not reuse a number while a session has it. So when the leader is gone, the members are
        still ours.
        """
        if self.boot != BOOT_ID.read_text().strip():
            return False
        leader = ProcessStat.of(self.pid)
        return leader is None or leader.started == self.started
