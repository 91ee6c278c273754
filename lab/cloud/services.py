# SPDX-License-Identifier: Apache-2.0
"""The services of the control plane, in the order in which they are shown."""

import os
from pathlib import Path

from lab.cloud.config import rabbitmq
from lab.cloud.spec import Spec
from lab.core.addresses import LOOPBACK
from lab.core.errors import RefusalError
from lab.core.install import RABBITMQ_SERVER
from lab.core.layout import REPO, VENV
from lab.core.service import Service

#: Stopped after all others, in this order, since the others use them while they stop.
LAST_TO_STOP = (("mariadb", "rabbitmq"), ("epmd",))


def control_plane(spec: Spec) -> list[Service]:
    """Return all services of this lab's control plane."""
    services = [_mariadb(spec), *broker(spec, spec.listens("rabbitmq"))]
    services += [
        _api(spec, "keystone", {"OS_KEYSTONE_CONFIG_DIR": "keystone"}, "/v3"),
        _api(spec, "placement", {"OS_PLACEMENT_CONFIG_DIR": "placement"}, "/"),
        _api(spec, "glance", {"OS_GLANCE_CONFIG_DIR": "glance"}, "/healthcheck"),
        _api(
            spec,
            "neutron",
            {"OS_NEUTRON_CONFIG_DIR": "neutron"},
            "/",
            {
                "OS_NEUTRON_CONFIG_FILES": "neutron.conf",
                "PYTHONPATH": f"{spec.layout.etc / 'neutron'}{os.pathsep}{REPO}",
            },
        ),
        _api(spec, "nova-api", {"OS_NOVA_CONFIG_DIR": "nova"}, "/"),
        _nova(spec, "nova-conductor"),
        _nova(spec, "nova-scheduler"),
    ]
    if spec.state.colo:
        conf = spec.layout.etc / "nova-colo" / "nova-colo.conf"
        services.append(Service("engine", (program("nova-colo-engine"), "--config-file", str(conf))))
    if spec.state.dashboard:
        services.append(_horizon(spec))
    return services


def broker(spec: Spec, address: str = LOOPBACK) -> list[Service]:
    """Return RabbitMQ, which listens on one address, and before it the service it needs."""
    return [_epmd(spec), _rabbitmq(spec, address)]


def program(name: str) -> str:
    """Return the path of a program of the virtual environment."""
    return str(VENV / "bin" / name)


def _api(
    spec: Spec, name: str, config_dirs: dict[str, str], path: str, extra: dict[str, str] | None = None
) -> Service:
    directories = {variable: str(spec.layout.etc / folder) for variable, folder in config_dirs.items()}
    return Service(
        name,
        (program("uwsgi"), "--ini", str(spec.layout.etc / "uwsgi" / f"{name}.ini")),
        {**directories, **(extra or {})},
        port=spec.port(name),
        url=spec.address(name, path),
    )


def _nova(spec: Spec, name: str) -> Service:
    return Service(name, (program(name), "--config-file", str(spec.layout.etc / "nova" / "nova.conf")))


def _mariadb(spec: Spec) -> Service:
    options = spec.layout.etc / "mariadb" / "mariadb.cnf"
    return Service("mariadb", ("/usr/sbin/mariadbd", f"--defaults-file={options}"))


def _epmd(spec: Spec) -> Service:
    """Return Erlang's port mapper, which RabbitMQ would start as a daemon that is never stopped."""
    port = spec.port("epmd")
    return Service("epmd", (_find_epmd(), "-address", "127.0.0.1", "-port", str(port)), port=port)


def _find_epmd() -> str:
    found = sorted(Path("/usr/lib/erlang").glob("erts-*/bin/epmd"))
    if not found:
        raise RefusalError("Erlang's epmd is missing; it comes with the Debian package rabbitmq-server")
    return str(found[-1])


def _rabbitmq(spec: Spec, address: str) -> Service:
    return Service(
        "rabbitmq", (str(RABBITMQ_SERVER),), rabbitmq.environment(spec, address), port=spec.port("rabbitmq")
    )


def _horizon(spec: Spec) -> Service:
    folder = spec.layout.etc / "horizon"
    return Service(
        "horizon",
        (program("uwsgi"), "--ini", str(spec.layout.etc / "uwsgi" / "horizon.ini")),
        {"PYTHONPATH": str(folder), "DJANGO_SETTINGS_MODULE": "openstack_dashboard.settings"},
        port=spec.port("horizon"),
        url=spec.address("horizon", "/auth/login/"),
    )
