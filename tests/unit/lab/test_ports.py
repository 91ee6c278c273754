# SPDX-License-Identifier: Apache-2.0
"""Test the choice of a lab's ports."""

import socket

import pytest

from lab.core import ports


def test_the_usual_ports_are_taken_when_they_are_free():
    assert ports.choose({}, free=lambda port: True) == ports.DEFAULTS


def test_the_next_free_port_is_taken_when_the_usual_one_is_not_free():
    usual = ports.DEFAULTS["horizon"]
    chosen = ports.choose({}, free=lambda port: port not in (usual, usual + 1))
    assert chosen["horizon"] == usual + 2


def test_no_two_services_get_the_same_port():
    taken = {ports.DEFAULTS["rabbitmq"]}
    chosen = ports.choose({}, free=lambda port: port not in taken)
    assert len(set(chosen.values())) == len(ports.DEFAULTS)


def test_the_ports_of_an_earlier_run_are_kept():
    assert ports.choose({"keystone": 15017}, free=lambda port: True)["keystone"] == 15017


def test_the_port_of_a_service_of_ours_that_runs_is_kept_although_it_is_taken():
    chosen = ports.choose({"keystone": 15017}, in_use_by_us=["keystone"], free=lambda port: port != 15017)
    assert chosen["keystone"] == 15017


def test_a_kept_port_that_somebody_else_took_meanwhile_is_given_up():
    chosen = ports.choose({"keystone": 15017}, free=lambda port: port != 15017)
    assert chosen["keystone"] == ports.DEFAULTS["keystone"]


def test_it_is_an_error_when_nothing_is_free():
    with pytest.raises(OSError, match="no free port"):
        ports.choose({}, free=lambda port: False)


def test_a_port_that_somebody_listens_on_is_not_free():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not ports.is_free(port)
    assert ports.is_free(port)
