# SPDX-License-Identifier: Apache-2.0
"""uWSGI's configuration, one file per API."""

from lab.cloud.config.ini import Sections
from lab.cloud.spec import Spec
from lab.core.layout import VENV


def uwsgi_ini(
    spec: Spec, service: str, module: str, processes: int = 1, threads: int = 4
) -> dict[str, object]:
    """Return the [uwsgi] section that serves ``module`` on the port of ``service``.

    :param module: ``package.module:application``
    """
    return {
        "http-socket": f"{spec.listens(service)}:{spec.port(service)}",
        "module": module,
        "home": VENV,
        "master": True,
        "processes": processes,
        "threads": threads,
        # Each worker loads the application itself: Nova and Neutron start threads, which a fork would lose.
        "lazy-apps": True,
        "enable-threads": True,
        "die-on-term": True,
        "need-app": True,
        "buffer-size": 65535,
        # Nova uploads images in chunks that exceed uWSGI's default limit
        "chunked-input-limit": 64 << 20,
        "thunder-lock": True,
        "disable-logging": True,
        "worker-reload-mercy": 5,
        "no-orphans": True,
    }


def with_connection_close(options: dict[str, object]) -> Sections:
    """Return an API's file. uWSGI's HTTP has no keep-alive, and some clients require the header."""
    return {"uwsgi": {**options, "add-header": "Connection: close"}}
