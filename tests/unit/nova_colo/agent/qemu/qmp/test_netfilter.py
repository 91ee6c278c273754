# SPDX-License-Identifier: Apache-2.0
"""The order of a primary's network filters."""

from nova_colo.agent.qemu.domain_xml import Nic
from nova_colo.agent.qemu.qmp import netfilter


def test_filters_are_inserted_before_the_rewriter_of_the_same_nic_whatever_its_number():
    added = []

    def guest(command, arguments=None):
        match command:
            case "qom-list":
                return [{"name": "colo-rewriter1"}, {"name": "objrng0"}]
            case "qom-get":
                return {"/objects/colo-rewriter1": "hostnet1"}[arguments["path"]]
            case "object-add":
                added.append(arguments)

    # the first of two NICs was detached since the failover, and another one was attached
    netfilter.compare(guest, [Nic("02::1", "hostnet1", True), Nic("02::2", "hostnet2", True)])
    positions = {filter_["netdev"]: filter_.get("position") for filter_ in added if "netdev" in filter_}
    assert positions == {"hostnet1": "id=colo-rewriter1", "hostnet2": None}
