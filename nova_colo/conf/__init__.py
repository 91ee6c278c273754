# SPDX-License-Identifier: Apache-2.0
"""Configuration of engine, agent, filter and nova-colo-manage."""

from collections.abc import Sequence

from oslo_config import cfg
from oslo_db import options as db_options
from oslo_log import log as logging

from nova_colo import version
from nova_colo.conf import agent, base, clients, engine, qemu, simulated

_PARTS = (base, engine, agent, qemu, simulated, clients)


def load(
    argv: Sequence[str],
    config_files: list[str] | None = None,
    cli_opts: Sequence[cfg.Opt] = (),
    conf: cfg.ConfigOpts = cfg.CONF,
) -> cfg.ConfigOpts:
    """Return the options of a process, read from its command line and configuration files.

    :param argv: command-line arguments without the program's name
    :param config_files: files to read; by default those of --config-file, else nova-colo.conf in the usual
        folders
    :param conf: where to register the options; the filter has its own, since nova-api's global ones are
        Nova's
    :raises oslo_config.cfg.Error: when a file is missing or an option is wrong
    """
    for part in _PARTS:
        part.register(conf)
    conf.register_opts(db_options.database_opts, group="database")
    logging.register_options(conf)
    conf.register_cli_opts(cli_opts)
    conf(argv, project="nova-colo", version=version.release(), default_config_files=config_files)
    return conf


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return all options for oslo-config-generator."""
    return [group for part in _PARTS for group in part.list_opts()] + [("database", db_options.database_opts)]
