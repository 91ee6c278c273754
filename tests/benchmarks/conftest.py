# SPDX-License-Identifier: Apache-2.0
"""The hosts with real QEMU that the tests have, too."""

from tests.colo.conftest import bed

__all__ = ["bed"]
