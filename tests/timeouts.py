# SPDX-License-Identifier: Apache-2.0
"""A hook for conftest.py: a test is ended later where what it waits for is given up later, see lab.patience."""

import pytest

from lab.patience import patient


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Multiply the time that pytest-timeout gives each test: the option of the configuration file, or the test's own marker."""
    usual = float(config.getini("timeout"))
    for item in items:
        own = item.get_closest_marker("timeout")
        item.add_marker(pytest.mark.timeout(patient(own.args[0] if own else usual)), append=False)
