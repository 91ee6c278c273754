# SPDX-License-Identifier: Apache-2.0
"""Plugging a secondary's VIFs, by os-vif itself with a plugin of the test's."""

import os_vif
import pytest
from os_vif import objects, plugin

from nova_colo.hoststate import vifs

SERVER = "8a68d99d-63b7-45e9-bf2c-343776213a53"
PORT = "9c3b6f8a-2b51-4b9e-8f9b-4f0f7a3c2f11"

OTHER_PORT = "5d0f4c0e-9a56-4b8e-9d0c-0b6a3f1e7c22"


class Plugin(plugin.PluginBase):
    """Plugin that records its calls, and can be made to fail."""

    def __init__(self):
        self.done = []
        self.refusal = None

    def describe(self):
        return objects.host_info.HostPluginInfo(plugin_name="test", vif_info=[])

    def plug(self, vif, instance_info):
        self._do("plug", vif, instance_info)

    def unplug(self, vif, instance_info):
        self._do("unplug", vif, instance_info)

    def _do(self, what, vif, server):
        if self.refusal:
            raise self.refusal
        self.done.append((what, server.uuid, vif.id, vif.bridge_name))


@pytest.fixture
def plugged(monkeypatch):
    vifs.prepare()
    vif_plugin = Plugin()
    holder = type("Holder", (), {"obj": vif_plugin})
    monkeypatch.setattr(os_vif, "_EXT_MANAGER", {"test": holder})
    return vif_plugin


@pytest.fixture
def store(tmp_path, plugged):
    vif_store = vifs.VifStore(str(tmp_path))
    vif = objects.vif.VIFBridge(id=PORT, address="fa:16:3e:4d:00:10", bridge_name="qbr-1", plugin="test")
    vif_store.put(objects.instance_info.InstanceInfo(uuid=SERVER, name="instance-00000001"), [vif])
    return vif_store


def test_a_secondary_is_plugged_in_as_its_primary_was_and_out_again(store, plugged):
    vifs.plug(store.get(SERVER))
    vifs.unplug(store.get(SERVER))
    assert plugged.done == [("plug", SERVER, PORT, "qbr-1"), ("unplug", SERVER, PORT, "qbr-1")]


def test_a_promoted_secondarys_vifs_are_recorded_unless_nova_has_done_so(store, tmp_path):
    record = store.get(SERVER)
    other_host = vifs.VifStore(str(tmp_path / "other"))
    other_host.take_over(SERVER, None)
    assert other_host.get(SERVER) is None
    other_host.take_over(SERVER, record)
    assert other_host.get(SERVER) == record
    other_host.take_over(SERVER, record | {"vifs": []})
    assert other_host.get(SERVER) == record


def test_cards_that_were_attached_are_plugged_in_too_and_those_that_were_detached_are_not(store, plugged):
    server = objects.instance_info.InstanceInfo(uuid=SERVER, name="instance-00000001")
    other = objects.vif.VIFBridge(
        id=OTHER_PORT, address="fa:16:3e:4d:00:11", bridge_name="qbr-2", plugin="test"
    )
    store.add(server, other)
    store.add(server, other)
    store.remove(SERVER, PORT)
    store.remove(SERVER, PORT)
    vifs.plug(store.get(SERVER))
    assert plugged.done == [("plug", SERVER, OTHER_PORT, "qbr-2")]
    store.delete(SERVER)
    store.remove(SERVER, OTHER_PORT)
    assert store.get(SERVER) is None


def test_cards_that_nova_does_not_know_of_any_more_can_be_unplugged(store, plugged):
    store.unplug_others(SERVER, [PORT])
    assert plugged.done == []
    store.unplug_others(SERVER, [OTHER_PORT])
    assert plugged.done == [("unplug", SERVER, PORT, "qbr-1")]
    store.delete(SERVER)
    store.unplug_others(SERVER, [])


def test_nothing_is_plugged_in_for_a_guest_that_nova_knows_nothing_of(store, plugged):
    store.delete(SERVER)
    store.delete(SERVER)
    vifs.plug(store.get(SERVER))
    vifs.unplug(store.get(SERVER))
    assert plugged.done == []


@pytest.mark.parametrize("refusal", [RuntimeError("no such bridge"), AssertionError()])
def test_a_card_that_cannot_be_plugged_in_is_an_error_and_one_that_cannot_be_unplugged_is_not(
    store, plugged, refusal
):
    plugged.refusal = refusal
    with pytest.raises(vifs.VifPlugError):
        vifs.plug(store.get(SERVER))
    vifs.unplug(store.get(SERVER))


def test_what_another_release_of_os_vif_has_written_is_an_error_only_where_it_matters(store, plugged):
    written = store.get(SERVER)
    written["vifs"][0]["versioned_object.version"] = "99.0"
    with pytest.raises(vifs.VifPlugError):
        vifs.plug(written)
    vifs.unplug(written)
