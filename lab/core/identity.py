# SPDX-License-Identifier: Apache-2.0
"""Who a process is: a pid alone is recycled, a pid with its start time and the machine's boot is not."""

from dataclasses import dataclass
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

#: A shell that writes down who it is and then becomes the service: it keeps its pid and its start time, and there is no
#: moment at which the service runs and is not on record, whenever the starter is killed.
RECORD_AND_BECOME = (
    f'read -r s </proc/$$/stat; read -r b <{BOOT_ID}; umask 077; echo "$s $b" >"$0"; exec "$@"'
)


@dataclass(frozen=True)
class ProcessStat:
    """The fields of /proc/PID/stat that say who a process is (proc_pid_stat(5))."""

    pid: int
    state: str
    session: int
    started: int

    @classmethod
    def parse(cls, line: str) -> "ProcessStat":
        """Return the fields of one line of /proc/PID/stat; the command's name in it may hold anything."""
        head, _, tail = line.rpartition(")")
        fields = tail.split()
        return cls(pid=int(head.split()[0]), state=fields[0], session=int(fields[3]), started=int(fields[19]))

    @classmethod
    def of(cls, pid: int) -> "ProcessStat | None":
        """Return who ``pid`` is now, None when there is no such process or only its zombie."""
        try:
            stat = cls.parse(Path(f"/proc/{pid}/stat").read_text())
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if stat.state in "ZX" else stat


@dataclass(frozen=True)
class Identity:
    """Who a started process was."""

    pid: int
    started: int
    boot: str

    @classmethod
    def read(cls, pid_file: Path) -> "Identity | None":
        """Return what a pid file says, None when there is none or it was not finished."""
        try:
            line, boot = pid_file.read_text().rsplit(maxsplit=1)
            stat = ProcessStat.parse(line)
        except (FileNotFoundError, ValueError, IndexError):
            return None
        return cls(stat.pid, stat.started, boot)

    def is_running(self) -> bool:
        """Tell whether that very process runs, not another one which got its pid later."""
        now = ProcessStat.of(self.pid)
        return now is not None and now.started == self.started and self.boot == BOOT_ID.read_text().strip()

    def owns_session(self) -> bool:
        """Tell whether the session with this pid as its number is the one that this process began.

        Linux does not give a number away again while a session has it: with the leader gone, whoever is in it is ours.
        """
        if self.boot != BOOT_ID.read_text().strip():
            return False
        leader = ProcessStat.of(self.pid)
        return leader is None or leader.started == self.started
