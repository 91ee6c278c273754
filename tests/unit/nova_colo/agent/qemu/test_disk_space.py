# SPDX-License-Identifier: Apache-2.0
"""Little free space is a reason before it is a failure."""

import pathlib
import shutil
import types

import pytest

from nova_colo.agent.qemu import disk_space
from nova_colo.pair import reasons

FREE_MB = {"/instances/a": 100, "/instances/b": 5000, "/volumes": 2000}


@pytest.fixture
def replicas(monkeypatch):
    def usage(folder):
        if str(folder) not in FREE_MB:
            raise FileNotFoundError(folder)
        return types.SimpleNamespace(free=FREE_MB[str(folder)] * disk_space.MB)

    monkeypatch.setattr(disk_space, "shutil", types.SimpleNamespace(disk_usage=usage))
    disks = {
        "little": ["/instances/a/disk"],
        "enough": ["/instances/b/disk", "/volumes/1"],
        "being removed": ["/instances/c/disk"],
        "none yet": [],
    }
    made = {
        server_id: types.SimpleNamespace(record=types.SimpleNamespace(disks=paths))
        for server_id, paths in disks.items()
    }
    return types.SimpleNamespace(all=lambda: dict(made), made=made)


def test_little_free_space_is_told(replicas):
    space = disk_space.DiskSpace("compute-a", replicas, low_mb=512)
    assert space.problem("little") is None, "not checked yet"
    space.check()
    problems = {server_id: space.problem(server_id) for server_id in replicas.made}
    low = reasons.LOW_SPACE(host="compute-a", megabytes=100)
    assert problems == {"little": low, "enough": None, "being removed": None, "none yet": None}
    del replicas.made["little"]
    space.check()
    assert space.problem("little") is None


def test_it_need_not_be_told(replicas):
    space = disk_space.DiskSpace("compute-a", replicas, low_mb=0)
    space.check()
    assert space.problem("little") is None


def test_the_space_of_a_real_file_system(tmp_path):
    record = types.SimpleNamespace(disks=[str(tmp_path / "disk")])
    replicas = types.SimpleNamespace(all=lambda: {"s": types.SimpleNamespace(record=record)})
    free_mb = shutil.disk_usage(pathlib.Path(tmp_path)).free // disk_space.MB
    space = disk_space.DiskSpace("compute-a", replicas, low_mb=2 * free_mb + 1)
    space.check()
    assert space.problem("s").code == "low_space"
