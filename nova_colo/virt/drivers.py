# SPDX-License-Identifier: Apache-2.0
"""The drivers, by the names that compute_driver = colo.NAME takes."""

from nova_colo.virt.fake import ColoFakeDriver

__all__ = ["ColoFakeDriver"]
