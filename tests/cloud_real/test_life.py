# SPDX-License-Identifier: Apache-2.0
"""Users' actions on an FT server in Nova, and its deletion in each state of its pair."""

import functools
import pathlib
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from lab import Lab
from tests.cloud_real.server import PATIENCE, FtServer
from tests.fixtures.cloud import Cloud, wait_for

#: Where the guest's service writes its counter, see lab/guest/sources/service.c.
PLACE_ON_DISK = 1 << 20
MakeServer = Callable[..., FtServer]


def test_protection_is_suspended_and_resumed(server: FtServer) -> None:
    before = server.pair()
    server.act("ft-suspend")
    suspended = server.in_state("suspended")
    assert suspended["secondary"] is None
    server.goes_on()
    server.act("ft-resume")
    assert server.pair()["primary"]["host"] == before["primary"]["host"]
    server.is_whole()


def test_protection_is_removed_and_made_again(server: FtServer) -> None:
    server.act("ft-unprotect")
    server.in_state("unprotected")
    server.goes_on()
    server.act("ft-protect")
    server.is_whole()


@pytest.mark.parametrize(
    ("action", "argument"),
    [
        ("pause", None),
        ("suspend", None),
        ("migrate", None),
        ("os-migrateLive", {"host": None, "block_migration": True, "disk_over_commit": False}),
        ("createImage", {"name": "copy"}),
        ("rescue", None),
    ],
)
def test_what_would_break_the_pair_is_refused(server: FtServer, action: str, argument: object) -> None:
    assert server.is_refused(action, argument)
    server.goes_on()


def test_it_is_rebooted(server: FtServer) -> None:
    server.act("reboot", {"type": "HARD"})
    server.in_status("ACTIVE")
    server.use()
    server.is_whole()


def test_it_is_stopped_and_started(server: FtServer) -> None:
    server.act("os-stop")
    server.in_status("SHUTOFF")
    assert server.in_state("unprotected")["secondary"] is None
    server.act("os-start")
    server.in_status("ACTIVE")
    server.use()
    server.is_whole()


def test_a_guest_that_powers_itself_off_stays_off_until_it_is_started(server: FtServer) -> None:
    before = server.pair()
    server.guest_powers_itself_off()
    server.in_status("SHUTOFF")
    unprotected = server.in_state("unprotected")
    assert (unprotected["secondary"], unprotected["failovers"]) == (None, before["failovers"])
    assert any("has powered itself off" in message for message in server.events())
    server.act("os-start")
    server.in_status("ACTIVE")
    server.use()
    server.is_whole()


def protected(server: FtServer, lab: Lab) -> None:
    server.pair()


def getting_a_secondary(server: FtServer, lab: Lab) -> None:
    server.pair()
    server.act("ft-unprotect")
    server.in_state("unprotected")
    server.act("ft-protect")


def failing_over(server: FtServer, lab: Lab) -> None:
    server.pair()
    server.act("failover")


def suspended(server: FtServer, lab: Lab) -> None:
    server.pair()
    server.act("ft-suspend")
    server.in_state("suspended")


def just_failed_over_by_a_loss(server: FtServer, lab: Lab) -> None:
    before = server.pair()
    server.kill_qemu(before["primary"]["host"])
    server.has_failed_over(before)


def its_records_following(server: FtServer, lab: Lab) -> None:
    just_failed_over_by_a_loss(server, lab)
    moving = lambda: server.as_nova_shows_it["OS-EXT-STS:task_state"] == "migrating"  # noqa: E731
    wait_for("Nova moves its records", PATIENCE, moving)


def stopped(server: FtServer, lab: Lab) -> None:
    server.pair()
    server.act("os-stop")
    server.in_status("SHUTOFF")


def long(reach: Callable[[FtServer, Lab], None]) -> Any:
    return pytest.param(reach, marks=pytest.mark.long)


@pytest.mark.parametrize(
    "reach",
    [
        getting_a_secondary,
        protected,
        failing_over,
        long(suspended),
        long(just_failed_over_by_a_loss),
        its_records_following,
        long(stopped),
    ],
)
def test_it_is_deleted_and_nothing_is_left(
    make_server: MakeServer, lab: Lab, reach: Callable[[FtServer, Lab], None]
) -> None:
    server = make_server()
    reach(server, lab)
    server.delete()


def test_it_is_deleted_while_its_primarys_host_has_no_power(make_server: MakeServer, lab: Lab) -> None:
    server = make_server()
    dead = server.pair()["primary"]["host"]
    lab.host(dead).kill()
    server.ask_to_delete()
    lab.host(dead).start()
    server.is_up(dead)
    server.delete()


def test_an_image_made_after_a_failover_holds_all_that_was_written(
    server: FtServer, cloud: Cloud, tmp_path: pathlib.Path
) -> None:
    before = server.pair()
    server.act("failover")
    server.failed_over(before)
    server.act("ft-unprotect")
    server.in_state("unprotected")
    counter = int(server.ask("d").split()[0])
    server.act("createImage", {"name": server.name})
    find = functools.partial(cloud.sdk.image.find_image, server.name)
    image = wait_for(
        "the image is there", PATIENCE, lambda: (image := find()) and image.status == "active" and image, find
    )
    copy, raw = tmp_path / "image", tmp_path / "raw"
    try:
        cloud.sdk.image.download_image(image, output=str(copy))
    finally:
        cloud.sdk.image.delete_image(image)
    subprocess.run(["qemu-img", "convert", "-O", "raw", copy, raw], check=True)
    with raw.open("rb") as file:
        file.seek(PLACE_ON_DISK)
        assert int(file.read(20).partition(b"\0")[0]) >= counter
    server.in_status("ACTIVE")
    server.goes_on()
    server.act("ft-protect")
    server.is_whole()
