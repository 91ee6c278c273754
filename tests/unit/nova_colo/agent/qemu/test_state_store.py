# SPDX-License-Identifier: Apache-2.0
"""The records of an agent's replicas."""

import json

from nova_colo.agent.qemu.state_store import Record, StateStore
from nova_colo.pair.replica_state import Stage

OF_THE_RELEASE_BEFORE = """
{"server_id": "s-1", "primary": false, "stage": "parted", "ports": [10500, 10501], "peer": "192.0.2.11",
 "peer_ports": [], "disks": ["/instances/s-1/disk"],
 "made": ["/instances/s-1/disk", "/instances/s-1/disk.config"], "wiring": {"server": {}, "vifs": []},
 "policy": "colo", "mode": "colo", "interval_ms": 50, "delay_ms": 7000,
 "paces": {"delay": 7000, "interval": 50}, "error": null, "counted": 17, "ledger": null, "mirrored": false,
 "disks_equal": true, "fence": null,
 "firing": {"address": "192.0.2.11", "port": 10498, "token": "6f0c2a5d"}, "shut_down": false}
"""


def test_a_record_of_a_later_release_is_read_without_what_it_has_added(tmp_path):
    store = StateStore(str(tmp_path))
    store.put(Record("s-1", primary=True, stage=Stage.IN_SYNC, ports=[10500]))
    (path,) = tmp_path.rglob("s-1.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"of_a_later_release": True}))
    (record,) = store.all()
    assert (record.server_id, record.stage, record.ports) == ("s-1", Stage.IN_SYNC, [10500])


def test_a_record_of_the_release_before_is_read_by_the_names_it_has_there(tmp_path):
    (tmp_path / "qemu").mkdir()
    (tmp_path / "qemu" / "s-1.json").write_text(OF_THE_RELEASE_BEFORE)
    (record,) = StateStore(str(tmp_path)).all()
    assert record == Record(
        "s-1",
        primary=False,
        stage=Stage.DISCONNECTED,
        ports=[10500, 10501],
        peer="192.0.2.11",
        disks=["/instances/s-1/disk"],
        created_files=["/instances/s-1/disk", "/instances/s-1/disk.config"],
        vifs={"vifs": [], "server": {}},
        host_parameters={"delay": 7000, "interval": 50},
        interval_ms=50,
        delay_ms=7000,
        counted=17,
        former_fence={"address": "192.0.2.11", "port": 10498, "token": "6f0c2a5d"},
    )
