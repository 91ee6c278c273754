# SPDX-License-Identifier: Apache-2.0
"""The lab's cloud, whose demo servers are protected before each test."""

from collections.abc import Iterator

import pytest

from lab import Lab
from tests.fixtures.cloud import Cloud
from tests.fixtures.stock_nova import stock_nova_api


@pytest.fixture(scope="session")
def cloud(lab: Lab) -> Cloud:
    return Cloud(lab)


@pytest.fixture
def pair(cloud: Cloud) -> dict:
    """Return the protected pair of web-1."""
    return cloud.protected("web-1")


@pytest.fixture(scope="session")
def stock_url(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with stock_nova_api(lab, tmp_path_factory.mktemp("stock-nova")) as url:
        yield url
