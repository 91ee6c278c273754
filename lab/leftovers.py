# SPDX-License-Identifier: Apache-2.0
"""Find and remove leftovers of killed tests: processes, namespaces, interfaces and data of their labs."""

import contextlib
import shutil
from pathlib import Path

import psutil

from lab.core.command import run
from lab.core.errors import LabError
from lab.core.identity import ProcessStat
from lab.core.layout import LAB_DIR, Layout
from lab.core.patience import patient
from lab.core.process import MARK, STARTER, Supervisor
from lab.machines.management import interface
from lab.machines.network import NAMESPACES, Namespace, mark

#: Prefix of the folder names of tests' labs. Other labs are never removed.
TESTS = "test"


def remove(folder: Path = LAB_DIR, elsewhere: bool = True) -> list[str]:
    """Remove all leftovers, except those of tests that still run.

    :param folder: the parent folder of tests' labs, by default that of this checkout
    :param elsewhere: also kill processes of tests' labs in other folders
    :returns: one line per lab with the things removed
    """
    labs: dict[Path, list[psutil.Process]] = {path: [] for path in folder.glob(f"{TESTS}*") if path.is_dir()}
    in_use = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            environment = process.environ()
            prefix = Path(environment.get(MARK, ""))
            if prefix.name.startswith(TESTS) and (elsewhere or prefix.parent == folder):
                labs.setdefault(prefix, []).append(process)
                # a different parent means that the starter has died and the process was reparented
                if environment.get(STARTER) == str(process.ppid()):
                    in_use.add(prefix)
    return [_remove(prefix, processes) for prefix, processes in sorted(labs.items()) if prefix not in in_use]


def _remove(prefix: Path, processes: list[psutil.Process]) -> str:
    """Remove the leftovers of one lab. Return a summary of them."""
    supervisor = Supervisor(Layout.at(prefix))
    # A service that sets its process title overwrites its environment, so it is found by its pid file.
    killed = set(supervisor.kill(supervisor.started_names()))
    namespaces = sorted(path.name for path in NAMESPACES.glob(f"{mark(prefix)}-*"))
    processes = [process for process in processes if ProcessStat.of(process.pid)]
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=patient(20))
    for name in namespaces:
        Namespace(name).delete()
    # usually gone already: deleting the namespace of one end of a veth pair deletes both
    with contextlib.suppress(LabError):
        run("ip", "link", "delete", interface(mark(prefix)))
    shutil.rmtree(prefix, ignore_errors=True)
    counted = {"services": killed, "other processes": processes, "network namespaces": namespaces}
    return ", ".join(
        [f"{prefix}: its data", *(f"{len(items)} {kind}" for kind, items in counted.items() if items)]
    )
