# SPDX-License-Identifier: Apache-2.0
"""Make nova-compute find our drivers.

nova.virt.driver.load_compute_driver only imports ``nova.virt.<compute_driver>``, so nova.virt.colo must
exist. It is an alias of nova_colo.virt.drivers, created in the process of nova-compute.
"""

import sys


def install() -> None:
    """Make nova.virt.colo importable.

    nova.cmd.compute must have been imported before, since it patches threading.
    """
    from nova_colo.virt import drivers

    sys.modules["nova.virt.colo"] = drivers
