# SPDX-License-Identifier: Apache-2.0
"""The hosts with real QEMU of the tests, as a testbed and as a lab."""

from tests.cloud_real.conftest import real_lab
from tests.qemu.conftest import testbed

__all__ = ["real_lab", "testbed"]
