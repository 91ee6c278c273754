# SPDX-License-Identifier: Apache-2.0
"""The drivers, by the names that compute_driver = colo.NAME takes."""

from nova_colo.virt.fake import ColoFakeDriver
from nova_colo.virt.libvirt import ColoLibvirtDriver

__all__ = ["ColoFakeDriver", "ColoLibvirtDriver"]
