# SPDX-License-Identifier: Apache-2.0
"""A real Horizon, in this process, in front of the fake cloud."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# The folder that contains local/local_settings.py, as in a deployment, and the repository's root
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[3])]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openstack_dashboard.settings")

from tests.unit.novaclient_colo.fake_cloud import PASSWORD, FakeCloud  # noqa: E402  after the path


@pytest.fixture(scope="session")
def horizon() -> None:
    import django

    django.setup()


@pytest.fixture
def cloud(horizon: None) -> Iterator[FakeCloud]:
    from django.core.cache import cache
    from django.test import override_settings

    cache.clear()
    with FakeCloud() as cloud, override_settings(OPENSTACK_KEYSTONE_URL=f"{cloud.url}/identity/v3"):
        yield cloud


@pytest.fixture
def login(cloud: FakeCloud) -> Callable[[str], Any]:
    """Return a function that logs a user in through Horizon's form, and returns a django.test.Client."""

    def login_as(user: str) -> Any:
        from django.test import Client

        client = Client()
        answer = client.post(
            "/auth/login/",
            {"auth_type": "credentials", "username": user, "password": PASSWORD, "region": "default"},
        )
        assert answer.status_code == 302, answer.content.decode()
        return client

    return login_as


@pytest.fixture
def admin(login: Callable[[str], Any]) -> Any:
    return login("admin")
