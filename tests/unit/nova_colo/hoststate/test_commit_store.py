# SPDX-License-Identifier: Apache-2.0
"""Records of disks whose overlays are not committed."""

import threading

from lab.core.patience import patient
from nova_colo.hoststate.commits import CommitStore, DiskFile

DISKS = [DiskFile("/instances/s-1/disk", "raw"), DiskFile("/instances/s-1/disk.1", "qcow2")]


def test_a_record_is_kept_until_it_is_deleted(tmp_path):
    CommitStore(str(tmp_path)).put("s-1", DISKS)
    store = CommitStore(str(tmp_path))
    assert (store.get("s-1"), store.all(), store.get("s-2")) == (DISKS, ["s-1"], [])
    store.delete("s-1")
    store.delete("s-1")
    assert (store.get("s-1"), store.all()) == ([], [])


def test_who_waits_goes_on_when_the_disks_are_complete(tmp_path):
    store = CommitStore(str(tmp_path))
    assert store.wait("s-1", 0.0)
    store.put("s-1", DISKS)
    assert not store.wait("s-1", 0.3)
    threading.Timer(0.3, store.delete, ["s-1"]).start()
    assert store.wait("s-1", patient(10))
