# SPDX-License-Identifier: Apache-2.0
"""Find and remove what tests that were killed have left of their labs and hosts: processes, namespaces, interfaces, data."""

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

#: What the names of the folders of tests' labs begin with. A person's own lab is nobody's leftover.
TESTS = "test"


def remove(folder: Path = LAB_DIR, elsewhere: bool = True) -> list[str]:
    """Remove all of it but what belongs to tests that run.

    :param folder: where tests have their labs, by default those of this checkout
    :param elsewhere: also end what processes belong to labs of tests in other folders
    :returns: a line for each lab that says what was there
    """
    found: dict[Path, list[psutil.Process]] = {path: [] for path in folder.glob(f"{TESTS}*") if path.is_dir()}
    in_use = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            environment = process.environ()
            prefix = Path(environment.get(MARK, ""))
            if prefix.name.startswith(TESTS) and (elsewhere or prefix.parent == folder):
                found.setdefault(prefix, []).append(process)
                if environment.get(STARTER) == str(
                    process.ppid()
                ):  # else it was given to another parent when its own died
                    in_use.add(prefix)
    return [_remove(prefix, processes) for prefix, processes in sorted(found.items()) if prefix not in in_use]


def _remove(prefix: Path, processes: list[psutil.Process]) -> str:
    """Remove what there is of one lab. Returns what that was."""
    supervisor = Supervisor(Layout.at(prefix))
    # a service that shows what it does in its command line writes over its environment: those are on record
    killed = set(supervisor.kill(supervisor.started_names()))
    namespaces = sorted(path.name for path in NAMESPACES.glob(f"{mark(prefix)}-*"))
    processes = [process for process in processes if ProcessStat.of(process.pid)]
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=patient(20))
    for name in namespaces:
        Namespace(name).delete()
    with contextlib.suppress(
        LabError
    ):  # most often its other end was in a namespace, which has taken it along
        run("ip", "link", "delete", interface(mark(prefix)))
    shutil.rmtree(prefix, ignore_errors=True)
    counted = {"services": killed, "other processes": processes, "network namespaces": namespaces}
    return ", ".join(
        [f"{prefix}: its data", *(f"{len(found)} {what}" for what, found in counted.items() if found)]
    )
