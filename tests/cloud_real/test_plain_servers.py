# SPDX-License-Identifier: Apache-2.0
"""The life of a server that is not fault tolerant: the same as on a stock cloud."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from lab import Lab
from tests.cloud_real.conftest import PREFIX
from tests.cloud_real.nova_server import PATIENCE
from tests.cloud_real.plain import PlainServer
from tests.fixtures.cloud import Cloud, wait_for

STOCK = PREFIX.with_name("test-stock")

#: The records that Nova must have in the end: each action, with the events of its services.
LIFE = [
    ("create", {"compute__do_build_and_run_instance"}),
    ("reboot", {"compute_reboot_instance"}),
    ("stop", {"compute_stop_instance"}),
    ("start", {"compute_start_instance"}),
    ("pause", {"compute_pause_instance"}),
    ("unpause", {"compute_unpause_instance"}),
    ("suspend", {"compute_suspend_instance"}),
    ("resume", {"compute_resume_instance"}),
    (
        "live-migration",
        {
            "conductor_migrate_server",
            "compute_check_can_live_migrate_destination",
            "compute_check_can_live_migrate_source",
            "compute_pre_live_migration",
            "compute_live_migration",
            "compute_post_live_migration_at_destination",
        },
    ),
    (
        "resize",
        {
            "cold_migrate",
            "conductor_migrate_server",
            "compute_prep_resize",
            "compute_resize_instance",
            "compute_finish_resize",
        },
    ),
    ("confirmResize", {"compute_confirm_resize"}),
    ("createImage", {"compute_snapshot_instance"}),
    ("attach_interface", {"compute_attach_interface"}),
    ("detach_interface", {"compute_detach_interface"}),
]


@pytest.fixture(
    scope="module", params=["beside FT servers", pytest.param("on a stock cloud", marks=pytest.mark.long)]
)
def lab(request: pytest.FixtureRequest, real_lab: Lab) -> Iterator[Lab]:
    """Return the lab with fault tolerance; a second run uses one without it, to compare with stock Nova."""
    if request.param == "beside FT servers":
        yield real_lab
        return
    stock = Lab(STOCK)
    stock.down(purge=True)
    stock.up(hosts=2, dashboard=False, demo=False, colo=False, hypervisor="real")
    yield stock
    stock.down(purge=True)


@pytest.fixture(scope="module")
def cloud(lab: Lab) -> Cloud:
    return Cloud(lab)


@pytest.fixture(scope="module")
def plain(cloud: Cloud) -> Iterator[PlainServer]:
    server = PlainServer(cloud)
    yield server
    server.delete()


def test_it_has_no_pair(plain: PlainServer, cloud: Cloud, lab: Lab) -> None:
    if lab.spec().state.colo:
        assert plain.name not in cloud.pairs()
    else:
        assert cloud.request("GET", "/os-fault-tolerance/servers").status_code == 404


def test_it_is_rebooted_stopped_and_started(plain: PlainServer) -> None:
    host = plain.host
    plain.act("reboot", {"type": "HARD"})
    plain.in_status("ACTIVE")
    plain.answers()
    plain.act("os-stop")
    plain.in_status("SHUTOFF")
    plain.act("os-start")
    plain.in_status("ACTIVE")
    plain.answers()
    assert plain.host == host


def test_it_is_paused_and_suspended(plain: PlainServer) -> None:
    for there, back, status in (("pause", "unpause", "PAUSED"), ("suspend", "resume", "SUSPENDED")):
        plain.act(there)
        plain.in_status(status)
        plain.act(back)
        plain.in_status("ACTIVE")
        plain.answers()


def test_it_is_migrated_live(plain: PlainServer, lab: Lab) -> None:
    before = plain.host
    target = next(host for host in lab.hosts() if host != before)
    plain.act("os-migrateLive", {"host": target, "block_migration": True, "disk_over_commit": False})
    wait_for("it is elsewhere", PATIENCE, lambda: plain.host == target)
    plain.in_status("ACTIVE")
    plain.answers()


@pytest.fixture
def alone(plain: PlainServer, cloud: Cloud) -> Iterator[None]:
    """Leave only the server's host to the scheduler: the lab has no ssh for copies of disks."""
    with cloud.closed(*cloud.hosts_up() - {plain.host}):
        yield


@pytest.fixture
def flavor(cloud: Cloud) -> Iterator[str]:
    """Create another flavor, with more vCPUs."""
    name = f"m1.wide-{uuid.uuid4().hex[:8]}"
    flavor = cloud.sdk.compute.create_flavor(name=name, vcpus=2, ram=128, disk=1)
    yield flavor.id
    cloud.sdk.compute.delete_flavor(flavor)


@pytest.mark.usefixtures("alone")
def test_it_is_resized(plain: PlainServer, flavor: str) -> None:
    plain.act("resize", {"flavorRef": flavor})
    plain.in_status("VERIFY_RESIZE")
    plain.act("confirmResize")
    plain.in_status("ACTIVE")
    plain.answers()
    assert plain.as_nova_shows_it["flavor"]["vcpus"] == 2


def test_an_image_is_made_of_it(plain: PlainServer, cloud: Cloud) -> None:
    name = f"copy-{plain.name}"
    plain.act("createImage", {"name": name})
    image = wait_for(
        "the image is there",
        PATIENCE,
        lambda: (image := cloud.sdk.image.find_image(name)) and image.status == "active" and image,
    )
    plain.in_status("ACTIVE")
    plain.answers()
    cloud.sdk.image.delete_image(image)


def test_an_interface_is_attached_and_detached(plain: PlainServer, cloud: Cloud) -> None:
    answer = cloud.request("POST", f"/servers/{plain.id}/os-interface", json={"interfaceAttachment": {}})
    assert answer.status_code == 200, answer.text
    port = answer.json()["interfaceAttachment"]["port_id"]
    wait_for("it has two", PATIENCE, lambda: len(plain.addresses()) == 2)
    assert cloud.request("DELETE", f"/servers/{plain.id}/os-interface/{port}").status_code == 202
    wait_for("it has one", PATIENCE, lambda: len(plain.addresses()) == 1)
    plain.answers()


def test_its_life_is_on_record(plain: PlainServer, cloud: Cloud) -> None:
    actions = recorded(cloud, plain)
    assert {event["result"] for action in actions for event in action["events"]} == {"Success"}
    assert [(action["action"], {event["event"] for event in action["events"]}) for action in actions] == LIFE


def recorded(cloud: Cloud, plain: PlainServer) -> list[dict[str, Any]]:
    """Return the recorded actions of a server, oldest first."""
    path = f"/servers/{plain.id}/os-instance-actions"
    actions = reversed(cloud.request("GET", path).json()["instanceActions"])
    return [
        cloud.request("GET", f"{path}/{action['request_id']}").json()["instanceAction"] for action in actions
    ]
