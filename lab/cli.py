# SPDX-License-Identifier: Apache-2.0
"""The command line: ``python3 -m lab``. Standard library only until the virtual environment exists."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lab.core import install, logs
from lab.core.errors import LabError, NotUpError, RefusalError
from lab.core.layout import DEFAULT_PREFIX, Layout
from lab.core.plan import Clock
from lab.core.state import HYPERVISORS, LINKS, THEMES

if TYPE_CHECKING:
    from lab.cloud.lab import Lab


#: Actions on a compute host, with the message printed after each.
HOST_ACTIONS = {
    "kill": "is powered off",
    "stop": "has stopped",
    "start": "has started",
    "cut-link": "is disconnected from the {network} network",
    "freeze": "is frozen",
    "heal": (
        "is healed; if Nova has forced it down, restart its nova-compute:"
        " python3 -m lab service restart {name}-nova-compute"
    ),
}


def main(arguments: Sequence[str]) -> int:
    """Run one command. Return its exit code: 0, 1 for a failure, 2 for a refusal, 3 if the lab is not up."""
    options = build_parser().parse_args(arguments)
    try:
        return int(options.run(options, list(arguments)))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(
            "lab: interrupted; 'python3 -m lab up' continues, 'python3 -m lab down' stops the lab",
            file=sys.stderr,
        )
        return 130


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--prefix", default=argparse.SUPPRESS, metavar="DIR", help="folder of the lab (.lab/run)"
    )
    parser = argparse.ArgumentParser(
        prog="python3 -m lab", description="A whole OpenStack with fault tolerance on one machine."
    )
    # Accepted before and after the command. After it, a default would override a value given before it.
    parser.add_argument(
        "--prefix", default=DEFAULT_PREFIX, metavar="DIR", help="folder of the lab (.lab/run)"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: object, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, parents=[common])
        sub.set_defaults(run=run)
        return sub

    up = command("up", _up, "start the lab, or those parts of it that do not run")
    up.add_argument("--hosts", type=int, metavar="N", help="number of compute hosts (3)")
    up.add_argument("--dashboard", action=argparse.BooleanOptionalAction, help="with Horizon (yes)")
    up.add_argument("--theme", choices=THEMES, help="Horizon's theme (default)")
    up.add_argument("--demo", action=argparse.BooleanOptionalAction, help="with demo servers (yes)")
    up.add_argument(
        "--colo", action=argparse.BooleanOptionalAction, help="with fault tolerance, or stock (yes)"
    )
    up.add_argument(
        "--hypervisor", choices=HYPERVISORS, help="real libvirt and QEMU, or simulated guests (simulated)"
    )
    down = command("down", _down, "stop the lab")
    down.add_argument("--purge", action="store_true", help="also delete its data")
    status = command(
        "status", _status, "show the services; exit code 3 if the lab is not up, 1 if a service does not run"
    )
    status.add_argument("--json", action="store_true", help="as JSON")
    env = command("env", _env, "print shell exports for a user of the cloud")
    env.add_argument("user", nargs="?", default="admin", help="admin, demo, manager, viewer or outsider")
    host = command(
        "host",
        _host,
        "list, kill (power off), stop or start compute hosts; disconnect, freeze or heal real ones",
    )
    host.add_argument("action", choices=["list", *HOST_ACTIONS])
    host.add_argument("name", nargs="?", help="name of the compute host")
    host.add_argument(
        "--network", choices=LINKS, default=LINKS[0], help="network that cut-link disconnects (replication)"
    )
    client = command(
        "client", _client, "run a client of a server and show its interruptions; real hosts only"
    )
    client.add_argument("server", help="name of the server")
    service = command("service", _service, "start, stop, kill or restart one service")
    service.add_argument("action", choices=["start", "stop", "kill", "restart"])
    service.add_argument("name", help="name as 'status' shows it")
    log = command("logs", _logs, "show the end of the logs; those of all services by default")
    log.add_argument("service", nargs="*")
    log.add_argument("-f", "--follow", action="store_true", help="follow the logs")
    log.add_argument("-n", "--lines", type=int, default=20, metavar="N", help="number of lines (20)")
    command("sweep", _sweep, "remove leftovers of killed tests: processes, namespaces, data")
    command("install", _install, "only install missing Debian packages and the virtual environment")
    venv = command("venv", _venv, "only create or update the virtual environment")
    other = venv.add_mutually_exclusive_group()
    other.add_argument(
        "--nova",
        choices=sorted(install.NOVA_RELEASES),
        help="the one of the functional tests with this release of Nova instead",
    )
    other.add_argument(
        "--horizon",
        choices=sorted(install.HORIZON_RELEASES),
        help="the one of the dashboard's tests with this release of Horizon instead",
    )
    return parser


def _up(options: argparse.Namespace, arguments: list[str]) -> int:
    if os.geteuid() != 0:
        raise RefusalError(
            "the lab must be started as root: it installs Debian packages and runs MariaDB and RabbitMQ"
        )
    _install(options, arguments)
    if not install.in_venv():
        install.enter_venv(arguments)
    from lab.cloud.report import welcome

    clock = Clock()
    lab = _lab(options)
    choices = (
        options.hosts,
        options.dashboard,
        options.demo,
        options.colo,
        options.theme,
        options.hypervisor,
    )
    if all(choice is None for choice in choices) and lab.is_complete():
        print(f"already up: all {len(lab.status())} services run and answer")
    else:
        lab.up(*choices)
        clock.say(f"up: all {len(lab.status())} services run")
    print(welcome(lab))
    return 0


def _down(options: argparse.Namespace, arguments: list[str]) -> int:
    if not Layout.at(options.prefix).prefix.is_dir() or not _enter(arguments):
        print("not up")
        return 0
    clock = Clock()
    was_up = _lab(options).down(purge=options.purge)
    if was_up:
        clock.say("down: all processes of the lab have ended")
    else:
        print("not up")
    if options.purge:
        print("its data is deleted")
    return 0


def _status(options: argparse.Namespace, arguments: list[str]) -> int:
    if not Layout.at(options.prefix).state_file.exists() or not _enter(arguments):
        raise NotUpError("not up")
    from lab.cloud.report import status_json, status_table

    statuses = _lab(options).status()
    if options.json:
        print(status_json(statuses))
    if not any(status.state == "running" for status in statuses):
        raise NotUpError("not up")
    if not options.json:
        print(status_table(statuses))
    return 0 if all(status.state == "running" for status in statuses) else 1


def _env(options: argparse.Namespace, arguments: list[str]) -> int:
    _need_venv(arguments)
    for name, value in _lab(options).env(options.user).items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _host(options: argparse.Namespace, arguments: list[str]) -> int:
    _need_venv(arguments)
    lab = _lab(options)
    if options.action == "list":
        for name in lab.hosts():
            print(f"{name}  {'running' if lab.host(name).is_running() else 'not running'}")
        return 0
    if options.name is None:
        raise RefusalError(f"no compute host named; there are: {', '.join(lab.hosts())}")
    host = lab.host(options.name)
    if options.action == "cut-link":
        host.cut_link(options.network)
    else:
        getattr(host, options.action)()
    print(f"{host.name} {HOST_ACTIONS[options.action].format(network=options.network, name=host.name)}")
    return 0


def _client(options: argparse.Namespace, arguments: list[str]) -> int:
    _need_venv(arguments)
    from lab.cloud.user import watch

    return watch(_lab(options), options.server)


def _service(options: argparse.Namespace, arguments: list[str]) -> int:
    _need_venv(arguments)
    getattr(_lab(options).service(options.name), options.action)()
    done = {"kill": "killed", "stop": "stopped", "start": "runs", "restart": "restarted"}[options.action]
    print(f"{options.name}: {done}")
    return 0


def _logs(options: argparse.Namespace, arguments: list[str]) -> int:
    return logs.show(Layout.at(options.prefix), options.service, options.lines, options.follow)


def _sweep(options: argparse.Namespace, arguments: list[str]) -> int:
    if not _enter(arguments):
        return 0  # no environment, no tests
    from lab import leftovers

    for summary in leftovers.remove():
        print(f"removed leftovers of tests at {summary}")
    return 0


def _install(options: argparse.Namespace, arguments: list[str]) -> int:
    clock = Clock()
    install.ensure_packages(clock.say, install.install_log())
    install.ensure_venv(clock.say, install.install_log())
    return 0


def _venv(options: argparse.Namespace, arguments: list[str]) -> int:
    if options.horizon is not None:
        install.ensure_dashboard(options.horizon, Clock().say, install.install_log())
    elif options.nova is not None:
        install.ensure_functional(options.nova, Clock().say, install.install_log())
    else:
        install.ensure_venv(Clock().say, install.install_log())
    return 0


def _lab(options: argparse.Namespace) -> "Lab":
    from lab.cloud.lab import Lab

    return Lab(options.prefix)


def _enter(arguments: list[str]) -> bool:
    """Re-execute in the virtual environment. Return False when there is none, so that no lab can run."""
    if install.in_venv():
        return True
    if not (install.VENV / "bin" / "python").exists():
        return False
    install.enter_venv(arguments)
    return True


def _need_venv(arguments: list[str]) -> None:
    if not _enter(arguments):
        raise NotUpError("not up; start the lab: python3 -m lab up")
