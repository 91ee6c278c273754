# SPDX-License-Identifier: Apache-2.0
"""How nova-compute finds our drivers.

nova.virt.driver.load_compute_driver imports ``nova.virt.<compute_driver>`` and nothing else, so nova.virt.colo must exist; it is
an alias of nova_colo.virt.drivers, made in the process that runs nova-compute.
"""

import sys


def install() -> None:
    """Make nova.virt.colo importable. nova.cmd.compute must have been imported before: it patches threading."""
    from nova_colo.virt import drivers

    sys.modules["nova.virt.colo"] = drivers
