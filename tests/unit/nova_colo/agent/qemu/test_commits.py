# SPDX-License-Identifier: Apache-2.0
"""The agent completes disks of promoted secondaries, with QEMU or after its end, and never twice at once."""

import os
import types

import pytest

from nova_colo.agent.qemu import commits
from nova_colo.agent.replication import ReplicationError
from nova_colo.hoststate.commits import CommitStore, DiskFile
from nova_colo.pair import reasons


@pytest.fixture
def disk(tmp_path):
    disk = tmp_path / "disk"
    disk.touch()
    return disk


@pytest.fixture
def calls(monkeypatch):
    """Return the calls that change disks or graphs; each fails while ``failing`` is set.

    ``committed`` is the end of the names of those disks that QEMU has committed.
    """
    calls = types.SimpleNamespace(made=[], failing=False, committed="", running=True)

    def note(name):
        def call(*arguments):
            if calls.failing:
                raise ReplicationError(reasons.IMAGE_TOOL_FAILED(text="No space left on device"))
            calls.made.append(name)

        return call

    monkeypatch.setattr(commits, "restore_graph", note("restore_graph"))
    monkeypatch.setattr(commits.block, "commit_overlays", note("commit_overlays"))
    monkeypatch.setattr(
        commits.block,
        "remove_overlays",
        lambda paths: calls.made.extend(
            f"remove overlays of {path}" for path in map(os.path.basename, paths)
        ),
    )
    monkeypatch.setattr(
        commits.block, "is_committed", lambda guest, disks: disks[0].path.endswith(calls.committed)
    )
    monkeypatch.setattr(commits.migration, "is_running", lambda guest: calls.running)
    return calls


@pytest.fixture
def make(tmp_path, disk, calls, monkeypatch):
    def make(has_qemu):
        store = CommitStore(str(tmp_path))
        files = [DiskFile(str(disk), "raw"), DiskFile(str(disk) + ".1", "raw")]
        (tmp_path / "disk.1").touch()
        store.put("s-1", files)
        monkeypatch.setattr(commits.domain_xml, "disks", lambda domain: files)
        guest = calls.made.append
        hypervisor = types.SimpleNamespace(guest=lambda server_id: guest, running=lambda server_id: None)
        return commits.Commits(store, hypervisor, lambda server_id: has_qemu)

    return make


BOTH_REMOVED = ["remove overlays of disk", "remove overlays of disk.1"]


def test_nothing_is_touched_while_qemu_commits_or_libvirt_is_silent(make, calls):
    calls.committed = "neither"
    for has_qemu in (True, None):
        of_host = make(has_qemu)
        of_host.advance("s-1")
        assert of_host.pending("s-1") and calls.made == []


def test_the_graph_is_restored_when_qemu_has_committed(make, calls):
    of_host = make(True)
    of_host.advance("s-1")
    assert not of_host.pending("s-1") and calls.made == [*BOTH_REMOVED, "restore_graph"]


def test_overlays_of_a_disk_that_is_committed_are_not_kept_for_another_one(make, calls):
    calls.committed = "disk"
    of_host = make(True)
    of_host.advance("s-1")
    assert of_host.pending("s-1") and calls.made == BOTH_REMOVED[:1]


def test_a_graph_that_could_not_be_restored_is_restored_later_and_the_guest_resumed(make, calls):
    of_host = make(True)
    calls.failing = True
    of_host.advance("s-1")
    assert of_host.pending("s-1"), "Nova must not act on the guest yet"
    calls.failing, calls.running = False, False
    of_host.advance("s-1")
    assert not of_host.pending("s-1") and calls.made[-2:] == ["restore_graph", "cont"]


def test_overlays_of_a_qemu_that_has_ended_are_committed_and_then_removed(make, calls):
    of_host = make(False)
    of_host.advance("s-1")
    assert not of_host.pending("s-1")
    assert calls.made == ["commit_overlays", "commit_overlays", *BOTH_REMOVED]


def test_what_fails_is_repeated_and_no_overlay_is_removed_before(make, calls, caplog):
    of_host = make(False)
    calls.failing = True
    of_host.advance("s-1")
    of_host.advance("s-1")
    assert of_host.pending("s-1") and caplog.text.count("are not complete yet") == 1
    assert calls.made == []
    calls.failing = False
    of_host.advance("s-1")
    assert not of_host.pending("s-1")


def test_disks_of_a_file_system_that_is_not_mounted_are_not_forgotten_but_deleted_ones_are(make, calls, disk):
    of_host = make(False)
    disk.unlink()
    of_host.advance("s-1")
    of_host.drop_deleted("s-1")
    assert of_host.pending("s-1") and calls.made == []
    disk.with_name("disk.1").unlink()
    of_host.drop_deleted("s-1")
    assert not of_host.pending("s-1")


def test_two_never_complete_the_same_disks_at_once(make, calls, monkeypatch):
    of_host = make(False)
    nested = lambda *arguments: (calls.made.append("outer"), of_host.advance("s-1"))  # noqa: E731
    monkeypatch.setattr(commits.block, "commit_overlays", nested)
    of_host.advance("s-1")
    assert calls.made.count("outer") == 2, "once for each disk"
