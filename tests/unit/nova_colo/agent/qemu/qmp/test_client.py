# SPDX-License-Identifier: Apache-2.0
"""Events of QEMU's monitor."""

import types

from nova_colo.agent.qemu.qmp.client import Hypervisor


def test_events_of_servers_that_are_not_fault_tolerant_are_not_kept():
    heard = []
    hypervisor = Hypervisor("test:///default", 5, lambda uuid, event: heard.append((uuid, event.name)), list)
    guest = hypervisor.guest("ours")
    for uuid in ("another", "ours"):
        domain = types.SimpleNamespace(UUIDString=lambda uuid=uuid: uuid)
        hypervisor._on_monitor_event(None, domain, "RTC_CHANGE", 1, 1, '{"offset": 1}', None)
    assert heard == [("ours", "RTC_CHANGE")] and [event.number for event in guest.since(0)] == [1]
    assert list(hypervisor._guests) == ["ours"]
