# SPDX-License-Identifier: Apache-2.0
"""Install missing Debian packages and the virtual environment. Standard library only."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.core.errors import LabError, RefusalError
from lab.core.layout import LAB_DIR, REPO, VENV

RABBITMQ_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
POLICY_RC = Path("/usr/sbin/policy-rc.d")
POLICY_RC_TEXT = (
    "#!/bin/sh\n# colo lab: no system service is started while its package is installed\nexit 101\n"
)

PIP_PACKAGES = (
    "nova==34.0.0",
    "keystone==30.0.0",
    "openstack-placement==16.0.0",
    "glance==33.0.0",
    "horizon==27.0.0",
    "neutron==29.0.0",
    "python-novaclient",
    "python-openstackclient",
    "osc-placement",
    "openstacksdk",
    "psutil",
    "uwsgi",
    "PyMySQL",
)

#: Releases of Nova that the server side is tested with, by their names in the command line.
NOVA_RELEASES = {"32": "32.0.0", "33": "33.0.0", "34": "34.0.0"}
#: Clients released at the same time, which the server side is tested with too: novaclient, openstackclient.
CLIENT_RELEASES = {"32": ("18.11.0", "8.2.0"), "33": ("18.12.0", "9.0.0"), "34": ("18.13.1", "10.5.0")}
#: Python that each release is tested with, if this machine has it.
PYTHON_RELEASES = {"32": "3.11", "33": "3.12", "34": "3.13"}

#: Older releases of Horizon that the dashboard is tested with, by their names in the command line.
HORIZON_RELEASES = {"25.5": "25.5.2", "25.7": "25.7.3"}

#: Installs Python packages; see ensure_uv.
UV = LAB_DIR / "uv" / "bin" / "uv"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Environment:
    """A virtual environment with this repository in it.

    :ivar extras: extras of this repository's package
    :ivar constraints: file that pins the versions, relative to the repository
    :ivar interpreter: Python to create it with; None for the running one
    """

    folder: Path
    packages: tuple[str, ...]
    extras: str
    constraints: str
    interpreter: str | None = None

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def is_current(self) -> bool:
        """Return whether it has what the constraints and the project require."""
        stamp = self.folder / "lab-stamp"
        return self._has_interpreter() and stamp.exists() and stamp.read_text() == self._stamp()

    def ensure(self, say: Say, log: Path) -> None:
        """Create or update it, unless it is current."""
        if self.is_current():
            return
        ensure_uv(say, log)
        if not self._has_interpreter():
            interpreter = self.interpreter or sys.executable
            say(f"creating {self.folder.relative_to(REPO)} with {interpreter}")
            _uv(["venv", "--clear", "--seed", "--python", interpreter, str(self.folder)], log)
        say(f"installing Python packages in {self.folder.relative_to(REPO)} (takes a minute without a cache)")
        requirements = ["-c", str(REPO / self.constraints), *self.packages, "-e", f"{REPO}[{self.extras}]"]
        _uv(["pip", "install", "--python", str(self.python), *requirements], log)
        (self.folder / "lab-stamp").write_text(self._stamp())

    def _has_interpreter(self) -> bool:
        """Return whether it is complete and has the right interpreter, whose link may be broken."""
        if not all((self.folder / "bin" / name).exists() for name in ("python", "pip")):
            return False
        return self.interpreter is None or self.python.resolve() == Path(self.interpreter).resolve()

    def _stamp(self) -> str:
        """Return a digest of its inputs; when that changes, the packages are installed again."""
        digest = hashlib.sha256(repr(self.packages).encode())
        translations = sorted((REPO / "colo_dashboard" / "locale").rglob("*.po"))
        for path in (
            REPO / self.constraints,
            REPO / "setup.cfg",
            REPO / "setup.py",
            REPO / "pyproject.toml",
            *translations,
        ):
            digest.update(path.read_bytes())
        return f"{REPO} {digest.hexdigest()}\n"


#: The environment of the lab's services.
LAB_ENVIRONMENT = Environment(VENV, PIP_PACKAGES, "dashboard,docs,libvirt,server,test", "constraints.txt")


def ensure_uv(say: Say, log: Path) -> None:
    """Install uv, which installs the other environments from one cache, in an environment of its own."""
    LAB_DIR.mkdir(exist_ok=True)
    with (LAB_DIR / "uv.lock").open("w") as lock:  # environments may be created at the same time
        fcntl.flock(lock, fcntl.LOCK_EX)
        if UV.exists():
            return
        say(f"installing uv in {UV.parents[1].relative_to(REPO)}")
        _run([sys.executable, "-m", "venv", "--clear", str(UV.parents[1])], log)
        pip = [str(UV.with_name("python")), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        _run([*pip, "-c", str(REPO / "constraints.txt"), "uv"], log)


def _uv(arguments: list[str], log: Path) -> None:
    """Run uv with its cache alone, and if that fails with the package index.

    A package index that does not return the version of its source archives makes uv download and build all of
    them again, even for pinned versions.
    """
    # With links, an edit in an environment would also change the cache.
    environment = {
        **os.environ,
        "UV_LINK_MODE": "copy",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_SYSTEM_CERTS": "true",
    }
    uv = [str(UV), "--quiet"]
    try:
        _run([*uv, "--offline", *arguments], log, environment)
    except LabError:
        _run([*uv, *arguments], log, environment)


def functional_environment(nova: str) -> Environment:
    """Return the environment of the functional tests with a release of Nova, one of NOVA_RELEASES."""
    novaclient, openstackclient = CLIENT_RELEASES[nova]
    clients = (f"python-novaclient=={novaclient}", f"python-openstackclient=={openstackclient}")
    packages = (f"nova=={NOVA_RELEASES[nova]}", *clients)
    python = find_python(PYTHON_RELEASES[nova])
    return Environment(
        LAB_DIR / f"nova-{nova}", packages, "functional,server", "constraints-functional.txt", python
    )


def dashboard_environment(horizon: str) -> Environment:
    """Return the environment of the dashboard's tests with a release of Horizon, one of HORIZON_RELEASES."""
    test_packages = ("Babel", "lxml", "oslo.policy", "pytest", "pytest-django", "pytest-timeout")
    packages = (f"horizon=={HORIZON_RELEASES[horizon]}", *test_packages)
    return Environment(
        LAB_DIR / f"horizon-{horizon}", packages, "dashboard", f"constraints-horizon-{horizon}.txt"
    )


def find_python(release: str) -> str | None:
    """Return the path of an interpreter of a release of Python, e.g. ``3.12``, or None if there is none.

    pyenv's shims exist for every release, but work for selected ones only, so each candidate is run.
    """
    name = f"python{release}"
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    candidates = [
        sys.executable,
        *sorted(map(str, pyenv.glob(f"{release}.*/bin/{name}"))),
        shutil.which(name),
    ]
    script = "import ensurepip, sys; print(*sys.version_info[:2], sep='.')"
    for program in filter(None, candidates):
        result = subprocess.run([program, "-c", script], capture_output=True, text=True, check=False)
        if result.stdout.strip() == release:
            return program
    return None


def in_venv() -> bool:
    """Return whether this interpreter is that of the lab's virtual environment."""
    return Path(sys.prefix).resolve() == VENV.resolve()


def enter_venv(arguments: Sequence[str]) -> None:
    """Replace this process by the same command in the lab's virtual environment."""
    python = VENV / "bin" / "python"
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(REPO), environment.get("PYTHONPATH")]))
    sys.stdout.flush()
    os.execve(python, [str(python), "-m", "lab", *arguments], environment)


def venv_is_current() -> bool:
    """Return whether the virtual environment has what the constraints and the project require."""
    return LAB_ENVIRONMENT.is_current()


def missing_packages() -> list[str]:
    """Return the Debian packages that the lab needs and that are not installed."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
    required = [
        (
            "mariadb-server",
            shutil.which("mariadbd", path=path) and shutil.which("mariadb-install-db", path=path),
        ),
        ("rabbitmq-server", RABBITMQ_SERVER.exists()),
        ("chromium", shutil.which("chromium", path=path)),
        ("npm", shutil.which("npm", path=path)),  # installs axe-core, which checks the accessibility of pages
        ("chromium-driver", shutil.which("chromedriver", path=path)),
    ]
    missing = [package for package, present in [*required, *_hypervisor(path)] if not present]
    return list(dict.fromkeys(missing + _missing_build_packages()))


def _hypervisor(path: str) -> list[tuple[str, bool]]:
    """Return the Debian packages that real hosts and their guests need, and whether they are installed.

    :param path: the search path of programs
    """
    return [
        ("qemu-system-x86", shutil.which("qemu-system-x86_64", path=path) is not None),
        ("qemu-utils", shutil.which("qemu-img", path=path) is not None),
        ("libvirt-daemon", shutil.which("libvirtd", path=path) is not None),
        (
            "libvirt-daemon-driver-qemu",
            any(Path("/usr/lib").glob("*/libvirt/connection-driver/libvirt_driver_qemu.so")),
        ),
        ("sudo", shutil.which("sudo", path=path) is not None),
        ("iproute2", all(shutil.which(program, path=path) for program in ("ip", "tc"))),
        # The guests have no libraries, so their busybox must be static.
        ("busybox-static", Path("/var/lib/dpkg/info/busybox-static.list").exists()),
        ("tcpdump", shutil.which("tcpdump", path=path) is not None),
        ("syslinux", shutil.which("syslinux", path=path) is not None),
        ("syslinux-common", Path("/usr/lib/syslinux/mbr/mbr.bin").exists()),
        ("mtools", shutil.which("mformat", path=path) is not None),
        # Nova creates config drives with it
        ("genisoimage", shutil.which("genisoimage", path=path) is not None),
        ("gcc", shutil.which("gcc", path=path) is not None),
        ("libc6-dev", any(Path("/usr/lib").glob("*/libc.a"))),
    ]


def ensure_packages(say: Say, log: Path) -> None:
    """Install the missing Debian packages.

    :raises RefusalError: not root, or no apt-get
    """
    if POLICY_RC.exists() and POLICY_RC.read_text() == POLICY_RC_TEXT:
        POLICY_RC.unlink()  # left by a killed installation
    packages = missing_packages()
    if packages:
        _apt_install(packages, say, log)


def ensure_venv(say: Say, log: Path) -> None:
    """Create the virtual environment, or update it to constraints.txt and setup.cfg."""
    build = _missing_build_packages()
    if build:
        _apt_install(build, say, log)
    LAB_ENVIRONMENT.ensure(say, log)


def ensure_functional(nova: str, say: Say, log: Path) -> None:
    """Create or update the environment of the functional tests with a release of Nova."""
    environment = functional_environment(nova)
    if environment.interpreter is None:
        python = PYTHON_RELEASES[nova]
        say(f"Python {python} is not installed: using {sys.executable} for Nova {nova} and its clients")
    _ensure_tests(environment, say, log)


def ensure_dashboard(horizon: str, say: Say, log: Path) -> None:
    """Create or update the environment of the dashboard's tests with a release of Horizon."""
    _ensure_tests(dashboard_environment(horizon), say, log)


def _ensure_tests(environment: Environment, say: Say, log: Path) -> None:
    if not _has_module("ensurepip"):
        _apt_install(["python3-venv"], say, log)
    environment.ensure(say, log)


def _missing_build_packages() -> list[str]:
    """Return missing packages for the venv module and to build uWSGI and libvirt-python (no wheels)."""
    if venv_is_current():
        return []
    packages = []
    if not _has_module("ensurepip"):
        packages.append("python3-venv")
    if not shutil.which("cc"):
        packages += ["gcc", "libc6-dev"]
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        packages.append("python3-dev")
    if not Path("/usr/include/libvirt/libvirt.h").exists():
        packages.append("libvirt-dev")
    if not shutil.which("pkg-config"):
        packages.append("pkg-config")
    return packages


def _has_module(name: str) -> bool:
    try:
        __import__(name)
    except ImportError:
        return False
    return True


def _apt_install(packages: list[str], say: Say, log: Path) -> None:
    if os.geteuid() != 0:
        raise RefusalError(f"missing Debian packages, which only root can install: {' '.join(packages)}")
    if not shutil.which("apt-get"):
        raise RefusalError(f"missing Debian packages, and no apt-get to install them: {' '.join(packages)}")
    say(f"installing Debian packages: {' '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # Debian starts the services of a new package; the lab runs its own and needs none of the system.
    ours = not POLICY_RC.exists()
    if ours:
        POLICY_RC.write_text(POLICY_RC_TEXT)
        POLICY_RC.chmod(0o755)
    try:
        _run(["apt-get", "update"], log, environment)
        _run(["apt-get", "install", "-y", "--no-install-recommends", *packages], log, environment)
    finally:
        if ours:
            POLICY_RC.unlink(missing_ok=True)


def _run(command: list[str], log: Path, environment: dict[str, str] | None = None) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as out:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment,
            check=False,
        )
    if result.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        raise LabError(
            f"'{' '.join(command[:4])} ...' ended with {result.returncode}; the end of {log}:\n{tail}"
        )


def install_log() -> Path:
    """Return the log file of the installation."""
    return LAB_DIR / "install.log"
