# SPDX-License-Identifier: Apache-2.0
"""Which of an engine's errors the owner of a server sees when its strict build is refused."""

import types

import oslo_messaging as messaging
import pytest
from nova import exception
from nova.compute import vm_states

from nova_colo import rpc
from nova_colo.virt.reserve_on_build import StrictBuild

NO_CAPACITY = "No host has capacity for a secondary."
INSTANCE = types.SimpleNamespace(
    uuid="7c27d8f1-0000-4000-8000-000000000001",
    host="compute-a",
    vm_state=vm_states.BUILDING,
    flavor=types.SimpleNamespace(extra_specs={"ft:enabled": "1"}),
)


@pytest.fixture
def fault(monkeypatch):
    """Return the fault of a build for which the engine raises an error of this type."""

    def fails_with(exc_type: str) -> str:
        def reserve(*_arguments):
            raise messaging.RemoteError(exc_type, NO_CAPACITY)

        monkeypatch.setattr(rpc, "transport", lambda conf: None)
        monkeypatch.setattr(rpc, "ReservationClient", lambda *_: types.SimpleNamespace(reserve=reserve))
        conf = types.SimpleNamespace(colo=types.SimpleNamespace(reservation_timeout=5.0))
        with pytest.raises(exception.BuildAbortException) as refused:
            StrictBuild(conf).reserve(INSTANCE)
        return str(refused.value)

    return fails_with


@pytest.mark.parametrize("exc_type", ["BuildError", "NoRoomError"])
def test_the_owner_sees_why_there_is_no_capacity_also_from_an_engine_of_the_release_before(fault, exc_type):
    assert NO_CAPACITY in fault(exc_type)


def test_the_owner_does_not_see_the_text_of_another_error(fault):
    message = fault("OperationalError")
    assert NO_CAPACITY not in message and "Its log says why" in message
