# SPDX-License-Identifier: Apache-2.0
"""Run programs again and again: a process that has imported them forks for each time, since importing takes seconds of CPU."""

import importlib
import multiprocessing
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping

from lab.patience import patient

#: The entry points of the programs: module, function, and whether it is given the arguments. Else nova takes what they were when
#: it was imported.
PROGRAMS = {
    "nova": ("novaclient.shell", "main", True),
    "nova-colo-manage": ("nova_colo.cmd.manage", "main", False),
    "openstack": ("openstackclient.shell", "main", True),
}
_CONTEXT = multiprocessing.get_context("forkserver")  # not a fork of the tests' own process, which has other options by now
#: Those that tests use together.
CLIENTS = ("nova", "openstack")


def run(
    name: str, *arguments: str, env: Mapping[str, str] | None = None, seconds: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run one of PROGRAMS; gives its exit code and what it has written.

    :param env: its environment, by default this process's
    :param seconds: after which it is ended
    """
    # heard by the first that is run only
    _CONTEXT.set_forkserver_preload([PROGRAMS[each][0] for each in (CLIENTS if name in CLIENTS else (name,))])
    with tempfile.TemporaryDirectory() as folder:
        process = _CONTEXT.Process(target=_main, args=(folder, name, arguments, dict(os.environ if env is None else env)))
        process.start()
        process.join(patient(seconds))
        process.kill()
        process.join()
        stdout, stderr = (pathlib.Path(folder, stream).read_text() for stream in ("1", "2"))
    if process.exitcode == -9:
        raise subprocess.TimeoutExpired([name, *arguments], patient(seconds), stdout, stderr)
    return subprocess.CompletedProcess([name, *arguments], process.exitcode or 0, stdout, stderr)


def _main(folder: str, name: str, arguments: tuple[str, ...], env: dict[str, str]) -> None:
    """Do as the script of the entry point does, with its output in files that are called 1 and 2."""
    os.environ.clear()
    os.environ.update(env)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    for stream in (1, 2):
        os.dup2(os.open(f"{folder}/{stream}", os.O_WRONLY | os.O_CREAT, 0o600), stream)
    sys.stdin, sys.stdout, sys.stderr = open(0), os.fdopen(1, "w"), os.fdopen(2, "w")  # noqa: SIM115
    sys.argv = [name, *arguments]
    module, function, takes_arguments = PROGRAMS[name]
    main = getattr(importlib.import_module(module), function)
    sys.exit(main(list(arguments)) if takes_arguments else main())
