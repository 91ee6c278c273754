# SPDX-License-Identifier: Apache-2.0
"""The records of an agent's replicas."""

import json

from nova_colo.agent.qemu.state_store import Record, StateStore
from nova_colo.pair.replica_state import Stage


def test_a_record_of_a_later_release_is_read_without_what_it_has_added(tmp_path):
    store = StateStore(str(tmp_path))
    store.put(Record("s-1", primary=True, stage=Stage.IN_SYNC, ports=[10500]))
    (path,) = tmp_path.rglob("s-1.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"of_a_later_release": True}))
    (record,) = store.all()
    assert (record.server_id, record.stage, record.ports) == ("s-1", Stage.IN_SYNC, [10500])
