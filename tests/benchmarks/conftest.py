# SPDX-License-Identifier: Apache-2.0
"""The hosts with real QEMU that the tests have, too, as a bed and as a lab."""

from tests.colo.conftest import bed
from tests.e2e.conftest import real_lab

__all__ = ["bed", "real_lab"]
