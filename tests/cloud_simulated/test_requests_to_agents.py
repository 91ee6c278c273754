# SPDX-License-Identifier: Apache-2.0
"""Who can publish on the broker, as every compute host can, commands no agent."""

import pytest
from oslo_config import cfg

from nova_colo import conf as colo_conf
from nova_colo import rpc
from nova_colo.agent import signing
from nova_colo.agent.replication import UnverifiedError


@pytest.fixture
def conf(lab):
    """The configuration of the lab's engine, its signing key among it."""
    yield colo_conf.load([], [str(lab.layout.etc / "nova-colo" / "nova-colo.conf")])
    cfg.CONF.reset()


@pytest.fixture
def transport(conf):
    """The broker, as each host reaches it."""
    transport = rpc.transport(conf)
    yield transport
    transport.cleanup()


def test_a_request_that_no_engine_has_signed_changes_nothing(cloud, pair, conf, transport):
    primary, secondary = pair["primary"]["host"], pair["secondary"]["host"]
    server = {"server_id": pair["server_id"]}
    grant = {**server, "epoch": pair["epoch"] + 1}
    stranger = rpc.AgentClient(transport, 30)
    for host, method, arguments in (
        (primary, "demote", grant),
        (secondary, "promote", grant),
        (secondary, "discard", server),
        (primary, "release", server),
    ):
        with pytest.raises(UnverifiedError) as refused:
            stranger.call(host, method, **arguments)
        assert refused.value.reason.code == "request_not_signed"
    engine = rpc.AgentClient(transport, 30, signing.sign_by(conf))
    replicas = {host: engine.call(host, "live_status", **server) for host in (primary, secondary)}
    roles = {host: (replica["role"], replica["epoch"]) for host, replica in replicas.items()}
    assert roles == {primary: ("primary", pair["epoch"]), secondary: ("secondary", pair["epoch"])}
    assert cloud.protected("web-1")["primary"]["host"] == primary
