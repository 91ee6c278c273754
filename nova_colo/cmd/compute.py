# SPDX-License-Identifier: Apache-2.0
"""nova-colo-compute: stock nova-compute that can load the FT drivers."""

# must be the first import of all: it patches threading
from nova.cmd import compute

from nova_colo.virt import driver_loader


def main() -> None:
    """Run nova-compute."""
    driver_loader.install()
    compute.main()
