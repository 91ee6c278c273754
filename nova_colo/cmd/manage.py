# SPDX-License-Identifier: Apache-2.0
"""nova-colo-manage: the operator's tool on the controller."""

import sys
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging
from sqlalchemy import exc

from nova_colo import conf as colo_conf
from nova_colo.cmd import api_paste, test_ca
from nova_colo.db import migration


class ManageError(Exception):
    """An error that the operator must fix; only its message is shown."""


def _sync(conf: cfg.ConfigOpts) -> None:
    if not conf.database.connection:
        raise ManageError("[database] connection is not set. Name the FT database in nova-colo.conf.")
    try:
        migration.sync(conf.database.connection)
    except migration.CharsetError as error:
        raise ManageError(str(error)) from error
    except (exc.SQLAlchemyError, ImportError) as error:
        # the driver's own message, without the statement and SQLAlchemy's links
        reason = getattr(error, "orig", None) or error
        raise ManageError(
            f"The database that [database] connection names cannot be brought up to date: {reason}"
        ) from error
    print("The schema of the FT database is up to date.")


def _api_paste(conf: cfg.ConfigOpts) -> None:
    file = conf.command.file
    try:
        if conf.command.remove:
            done = "was removed. Restart nova-api." if api_paste.remove_filter(file) else "is not there."
        else:
            inserted = api_paste.insert_filter(file, conf.command.filter_config)
            done = "was inserted. Restart nova-api." if inserted else "is there already."
    except (OSError, api_paste.PasteError) as error:
        raise ManageError(str(error)) from error
    print(f"{file}: the filter {done}")


def _test_ca(conf: cfg.ConfigOpts) -> None:
    command = conf.command
    try:
        for host in test_ca.issue(command.folder, dict(command.hosts), command.days):
            print(f"{host}: copy it to {host.name}, as the folder that [qemu] tls_x509_cert_dir names there.")
    except (OSError, test_ca.CaError) as error:
        raise ManageError(str(error)) from error


def _add(subparsers: Any, name: str, text: str) -> Any:
    return subparsers.add_parser(name, help=text, description=text)


def _add_commands(subparsers: Any) -> None:
    database = _add(subparsers, "db", "Manage the FT database").add_subparsers(dest="action", required=True)
    _add(database, "sync", "Bring the schema up to date").set_defaults(run=_sync)
    paste = _add(subparsers, "api-paste", "Insert the API filter into Nova's api-paste.ini, or remove it")
    paste.add_argument("file", help="Path of api-paste.ini")
    paste.add_argument("--remove", action="store_true", help="Remove the filter")
    paste.add_argument(
        "--filter-config",
        default="/etc/nova-colo/nova-colo.conf",
        help="Configuration file of the filter (default: %(default)s)",
    )
    paste.set_defaults(run=_api_paste)
    authority = _add(subparsers, "test-ca", "Issue certificates to test encrypted replication")
    authority.add_argument(
        "folder", help="Folder of the authority. If it is empty or missing, a new authority is created there"
    )
    authority.add_argument(
        "hosts",
        nargs="+",
        type=test_ca.host_address,
        metavar="NAME=ADDRESS",
        help="Name of a host, and its [qemu] replication_address",
    )
    authority.add_argument(
        "--days",
        type=test_ca.days,
        default=365,
        help="Number of days that the certificates are valid (default: %(default)s)",
    )
    authority.set_defaults(run=_test_ca)


def main() -> int:
    """Run one command.

    :returns: 0, or 1 with one line on stderr
    """
    command = cfg.SubCommandOpt("command", title="commands", handler=_add_commands)
    try:
        conf = colo_conf.load(sys.argv[1:], cli_opts=[command])
        logging.setup(conf, "nova_colo")
        if conf.command.name is None:
            raise ManageError("No command given. See nova-colo-manage --help.")
        conf.command.run(conf)
    except (ManageError, cfg.Error) as error:
        print(f"nova-colo-manage: {error}", file=sys.stderr)
        return 1
    return 0
