# SPDX-License-Identifier: Apache-2.0
"""colo-pair: manage the pair of one guest without OpenStack, by the agents of its hosts."""

import warnings

from oslo_service import backend

# a user at a terminal can do nothing about imports of oslo's libraries
warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
# before oslo.messaging is imported, which would select the other backend
backend.register_backend_default_hook(lambda: backend.BackendType.THREADING)

import logging as python_logging  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402

from oslo_config import cfg  # noqa: E402
from oslo_log import log as logging  # noqa: E402

from nova_colo import conf as colo_conf  # noqa: E402
from nova_colo.standalone import agents, options  # noqa: E402
from nova_colo.standalone.output import Output  # noqa: E402
from nova_colo.standalone.pair import Agents, PairError  # noqa: E402

#: Exit codes beside 0.
FAILED, USAGE = 1, 2


def _log(conf: cfg.ConfigOpts) -> None:
    """Set up logging only where the configuration asks for it; the output is for people at a terminal."""
    if conf.debug or conf.log_file or conf.log_dir:
        logging.setup(conf, "nova_colo")
    else:
        python_logging.getLogger().addHandler(python_logging.NullHandler())


def main(
    argv: Sequence[str] | None = None,
    connect: Callable[[cfg.ConfigOpts], Agents] = agents.connect,
    conf: cfg.ConfigOpts = cfg.CONF,
) -> int:
    """Run one command.

    :param argv: the command line without the program's name; by default the process's own
    :param connect: returns the clients of the agents
    :param conf: registry of the options
    :returns: 0; 1 with one line on stderr when the command was refused or has failed; 2 when the command line
        is wrong
    """
    command = cfg.SubCommandOpt("command", title="commands", handler=options.add_commands)
    try:
        colo_conf.load(sys.argv[1:] if argv is None else argv, cli_opts=[command], conf=conf)
        if conf.command.name is None:
            return _fail("no command given. See colo-pair --help.", USAGE)
        options.check(conf.command)
        _log(conf)
        return conf.command.run(conf, agents.AgentPool(connect(conf)), Output(conf.command.json)) or 0
    except options.UsageError as error:
        return _fail(str(error), USAGE)
    except (PairError, cfg.Error) as error:
        return _fail(str(error), FAILED)
    except KeyboardInterrupt:
        return _fail("interrupted. See colo-pair status for the state of the pair.", FAILED)


def _fail(message: str, code: int) -> int:
    print("colo-pair:", " ".join(message.split()), file=sys.stderr)
    return code
