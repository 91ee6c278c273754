# SPDX-License-Identifier: Apache-2.0
"""Run nova-colo-manage again and again: a process that has imported it forks for each time, since importing takes seconds."""

import multiprocessing
import os
import pathlib
import subprocess
import sys
import tempfile

from lab.patience import patient

_CONTEXT = multiprocessing.get_context("forkserver")  # not a fork of the tests' own process, which has other options by now
_CONTEXT.set_forkserver_preload(["nova_colo.cmd.manage"])


def run_manage(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it; gives its exit code and what it has written."""
    with tempfile.TemporaryDirectory() as folder:
        process = _CONTEXT.Process(target=_main, args=(folder, arguments))
        process.start()
        process.join(patient(120))
        stdout, stderr = (pathlib.Path(folder, name).read_text() for name in ("1", "2"))
    assert process.exitcode is not None, "it does not end"
    return subprocess.CompletedProcess(arguments, process.exitcode, stdout, stderr)


def _main(folder: str, arguments: tuple[str, ...]) -> None:
    """Do as the script of the entry point does, with its output in files that are called 1 and 2."""
    from nova_colo.cmd import manage

    for number in (1, 2):
        os.dup2(os.open(f"{folder}/{number}", os.O_WRONLY | os.O_CREAT, 0o600), number)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    sys.argv = ["nova-colo-manage", *arguments]
    sys.exit(manage.main())
