# SPDX-License-Identifier: Apache-2.0
"""Files and folders of a lab."""

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab.core.errors import RefusalError

REPO = Path(__file__).resolve().parents[2]
LAB_DIR = REPO / ".lab"
VENV = LAB_DIR / "venv"
#: Files that are the same for all labs and are reused by the next one.
CACHE = LAB_DIR / "cache"
DEFAULT_PREFIX = LAB_DIR / "run"
#: unix(7): sun_path has 108 bytes, the last of which is 0.
MAX_SOCKET_PATH = 107


@dataclass(frozen=True)
class Layout:
    """The folders of one lab. A lab writes below its prefix only, and only its owner may list that.

    Others, such as the users of its hosts, may pass through it to their folders.
    """

    prefix: Path

    @classmethod
    def at(cls, prefix: str | Path | None) -> "Layout":
        """Return the layout of ``prefix``, or of the default one."""
        return cls(Path(prefix if prefix is not None else DEFAULT_PREFIX).resolve())

    @property
    def etc(self) -> Path:
        """Configuration files; they contain passwords."""
        return self.prefix / "etc"

    @property
    def logs(self) -> Path:
        """One log file per service."""
        return self.prefix / "log"

    @property
    def pids(self) -> Path:
        """One pid file per started service."""
        return self.prefix / "pid"

    @property
    def done(self) -> Path:
        """Stamps of the steps that need not be repeated."""
        return self.prefix / "done"

    @property
    def simulated(self) -> Path:
        """Memory of the simulated hosts, and the network between them."""
        return self.prefix / "simulated"

    @property
    def state_file(self) -> Path:
        """The settings of this lab: hosts, ports, components."""
        return self.prefix / "lab.json"

    @property
    def passwords_file(self) -> Path:
        """The generated passwords."""
        return self.prefix / "passwords.json"

    @property
    def lock_file(self) -> Path:
        """Lock file, held by the command that changes the lab."""
        return self.prefix / "lock"

    @property
    def database_socket(self) -> Path:
        """Socket of MariaDB, which listens on nothing else."""
        return self.prefix / "mariadb" / "socket"

    def log(self, service: str) -> Path:
        """Return the log file of ``service``."""
        return self.logs / f"{service}.log"

    def pid(self, service: str) -> Path:
        """Return the pid file of ``service``."""
        return self.pids / service

    def host(self, name: str) -> Path:
        """Return the folder of the compute host ``name``: its disk."""
        return self.prefix / "hosts" / name

    def create(self) -> None:
        """Create the common folders.

        :raises RefusalError: the path of the prefix cannot be used for a lab
        """
        if not re.fullmatch(r"[A-Za-z0-9_./-]+", str(self.prefix)):
            raise RefusalError(
                f"the lab's folder may contain only letters, digits and _ . / - in its path: {self.prefix}"
            )
        if len(str(self.database_socket)) > MAX_SOCKET_PATH:
            raise RefusalError(f"the lab's folder has too long a path for a Unix socket in it: {self.prefix}")
        self.prefix.mkdir(parents=True, exist_ok=True)
        self.prefix.chmod(0o711)
        for folder in (self.etc, self.logs, self.pids, self.done, self.simulated, self.prefix / "home"):
            folder.mkdir(mode=0o700, exist_ok=True)


def write_private(path: Path, text: str) -> bool:
    """Write ``text`` to ``path`` atomically and readable by the owner only.

    :returns: whether the file changed
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.read_text() == text and path.stat().st_mode & 0o777 == 0o600:
        return False
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(text)
    new.replace(path)
    return True


def add_to_cache(folder: Path, cached: Path) -> None:
    """Copy a folder into the cache atomically; do nothing if another lab has added it meanwhile."""
    cached.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cached.parent) as temporary:
        copy = Path(temporary) / "copy"
        shutil.copytree(folder, copy)
        if not cached.exists():
            copy.rename(cached)
