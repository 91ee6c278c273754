# SPDX-License-Identifier: Apache-2.0
"""Run nova-colo-manage in a fork of this process: it does what the program does, and need not import it all again."""

import os
import pathlib
import subprocess
import sys
import tempfile

from nova_colo.cmd import manage


def run_manage(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it; gives its exit code and what it has written."""
    with tempfile.TemporaryDirectory() as folder:
        files = [pathlib.Path(folder, name) for name in ("stdout", "stderr")]
        child = os.fork()
        if child == 0:
            _become(files, arguments)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        stdout, stderr = (path.read_text() for path in files)
    return subprocess.CompletedProcess(arguments, code, stdout, stderr)


def _become(files: list[pathlib.Path], arguments: tuple[str, ...]) -> None:
    """Do as the script of the entry point does, and end."""
    code = 70
    try:
        for number, path in enumerate(files, start=1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        sys.argv = ["nova-colo-manage", *arguments]
        code = manage.main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
