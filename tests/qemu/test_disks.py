# SPDX-License-Identifier: Apache-2.0
"""A guest's writes are on its disk, whichever disk fills up and however often it fails over."""

from collections.abc import Iterator

import libvirt
import pytest

from lab.machines import Guest, Testbed
from nova_colo.agent.qemu.qmp import block
from tests.qemu.lives import Life, small_file_system

SNAPSHOT = """
<domainsnapshot>
  <name>image</name>
  <disks><disk name="vda" snapshot="external"><source file="{file}"/></disk></disks>
</domainsnapshot>
"""


@pytest.fixture
def life(testbed: Testbed) -> Iterator[Life]:
    life = Life(testbed, Guest("disks", number=112))
    yield life
    life.close()


def test_a_full_disk_of_the_secondarys_host_costs_the_secondary_and_nothing_else(life):
    with small_file_system(life, "compute-b", "80m") as folder:
        observation = life.protect(target="compute-b")
        host = life.host("compute-b")

        def is_foretold() -> bool:
            return ("low_space", "compute-b") in [
                (reason["code"], reason["params"].get("host"))
                for reason in life.replica("compute-b")["reasons"]
            ]

        life.wait("it is said before that there is little space", is_foretold)
        assert "low_space" not in {reason["code"] for reason in life.replica("compute-a")["reasons"]}

        def lost() -> bool:
            # a checkpoint empties the overlays: fill that space, too
            host.run(["sh", "-c", f"cat /dev/zero >> {folder}/other || true"])
            primary, secondary = map(life.replica, ("compute-a", "compute-b"))
            reasons.update(
                reason["code"] for replica in (primary, secondary) for reason in replica["reasons"]
            )
            return primary["link_up"] is False or not secondary["disks_equal"]

        reasons: set[str] = set()
        life.wait("the secondary is lost", lost)
        assert {"copy_ended", "disk_failed"} & reasons, reasons
        life.pair.run_unprotected(observation)
        life.goes_on()
        life.discard("compute-b")
        assert not {"nodes", "jobs"} & life.left().keys()


def test_a_promoted_guests_disk_is_a_plain_one_again(life):
    life.fail_over_to("compute-b")
    (disk,) = life.guest.disk_paths(life.host("compute-b").instances)
    overlays = [
        life.host("compute-b").outside(path) for path in map(type(disk), block.overlay_paths(str(disk)))
    ]
    life.wait("no overlay is left", lambda: not any(path.exists() for path in overlays))
    assert "nodes" not in life.left()
    life.goes_on()
    # a second failover, back, from a graph that is plain
    life.fail_over_to("compute-a")
    life.goes_on()


def test_a_guest_that_has_failed_over_can_be_imaged_as_any_other(life):
    life.fail_over_to("compute-b")
    life.pair.unprotect(life.observe())
    domain = life.host("compute-b").connect().lookupByUUIDString(life.guest.uuid)
    image = life.host("compute-b").instances / life.guest.uuid / "image"
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA
    domain.snapshotCreateXML(SNAPSHOT.format(file=image), flags)
    life.goes_on()
    domain.blockCommit("vda", None, None, 0, libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE)
    life.wait("the commit", lambda: (job := domain.blockJobInfo("vda", 0)) and job["cur"] == job["end"])
    domain.blockJobAbort("vda", libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
    life.goes_on()
