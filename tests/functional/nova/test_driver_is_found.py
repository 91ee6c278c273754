# SPDX-License-Identifier: Apache-2.0
"""nova-compute loads our drivers, started by our command and by Nova's own."""

import pathlib
import subprocess
import sys

import pytest

from lab.core.patience import patient

pytestmark = pytest.mark.surface

#: Runs nova-compute until it has loaded its driver; without broker and database it could not continue.
UP_TO_THE_DRIVER = """
import sys
from nova.cmd import compute
from nova import service
from nova.virt import driver

class Loaded(Exception):
    pass

def create(**kwargs):
    raise Loaded(type(driver.load_compute_driver(None)).__mro__)

service.Service.create = create
try:
    {main}
except Loaded as loaded:
    print(loaded)
"""
MAINS = {
    "nova-compute": "compute.main()",
    "nova-colo-compute": "from nova_colo.cmd.compute import main; main()",
}


@pytest.mark.parametrize("command", MAINS)
def test_the_driver_is_found_by(command, tmp_path: pathlib.Path):
    conf = tmp_path / "nova.conf"
    conf.write_text(
        "[DEFAULT]\ntransport_url = fake://\ncompute_driver = colo.ColoFakeDriver\n"
        f"state_path = {tmp_path}\nhost = h1\n"
    )
    script = UP_TO_THE_DRIVER.format(main=MAINS[command])
    arguments = [sys.executable, "-W", "ignore", "-c", script, "--config-file", str(conf)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=patient(120), cwd=tmp_path)
    assert "nova_colo.virt.fake.ColoFakeDriver" in done.stdout, done.stderr[-2000:]
