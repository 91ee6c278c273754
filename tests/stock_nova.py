# SPDX-License-Identifier: Apache-2.0
"""A second nova-api beside a lab's own, with Nova's pipeline as it is shipped: what our answers are compared with."""

import contextlib
import pathlib
import socket
import subprocess
import sys
from collections.abc import Iterator

import requests
import tenacity

from lab import Lab
from lab.patience import patient
from lab.process import Supervisor

BIN = pathlib.Path(sys.executable).parent
SHIPPED_PASTE = pathlib.Path(sys.prefix) / "etc" / "nova" / "api-paste.ini"


@contextlib.contextmanager
def stock_nova_api(lab: Lab, folder: pathlib.Path) -> Iterator[str]:
    """Run it; gives its /v2.1 URL.

    :param folder: an empty folder that only we may read
    """
    folder.chmod(0o700)
    etc = lab.layout.etc
    (folder / "api-paste.ini").write_text(SHIPPED_PASTE.read_text())
    conf = (etc / "nova" / "nova.conf").read_text()
    (folder / "nova.conf").write_text(conf.replace(str(etc / "nova" / "api-paste.ini"), str(folder / "api-paste.ini")))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ours = (etc / "uwsgi" / "nova-api.ini").read_text().splitlines()
    ini = [f"http-socket = 127.0.0.1:{port}" if line.startswith("http-socket") else line for line in ours]
    (folder / "uwsgi.ini").write_text("\n".join(ini) + "\n")
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(
            [str(BIN / "uwsgi"), "--ini", str(folder / "uwsgi.ini")],
            env=Supervisor(lab.layout).environment({"OS_NOVA_CONFIG_DIR": str(folder)}),  # marked, for "lab sweep" to find
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for(process, f"http://127.0.0.1:{port}/", folder / "log")
            yield f"http://127.0.0.1:{port}/v2.1"
        finally:
            process.terminate()
            process.wait(patient(30))


def _wait_for(process: subprocess.Popen[bytes], url: str, log: pathlib.Path) -> None:
    @tenacity.retry(
        stop=tenacity.stop_after_delay(patient(90)),
        wait=tenacity.wait_fixed(0.3),
        retry=tenacity.retry_if_exception_type((requests.ConnectionError, requests.Timeout)),
    )
    def look() -> None:
        assert process.poll() is None, log.read_text()[-2000:]
        requests.get(url, timeout=patient(5))

    look()
