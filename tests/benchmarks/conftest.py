# SPDX-License-Identifier: Apache-2.0
"""The hosts with real QEMU that the tests have, too, as a bed and as a lab."""

from tests.cloud_real.conftest import real_lab
from tests.qemu.conftest import bed

__all__ = ["bed", "real_lab"]
