# SPDX-License-Identifier: Apache-2.0
"""The compute drivers, by their names in ``compute_driver = colo.NAME``."""

from nova_colo.virt.fake import ColoFakeDriver
from nova_colo.virt.libvirt import ColoLibvirtDriver

__all__ = ["ColoFakeDriver", "ColoLibvirtDriver"]
