# SPDX-License-Identifier: Apache-2.0
"""Selection of a secondary's host, and the resources that it needs there."""

from hypothesis import given
from hypothesis import strategies as st

from nova_colo.pair import host_selection

names = st.sampled_from(["a", "b", "c", "d"])


@given(st.sets(names), names, st.sets(names), st.dictionaries(names, st.integers(0, 9)), st.none() | names)
def test_a_secondary_goes_to_a_live_host_with_room_and_never_to_its_primarys(
    candidates, primary, alive, loads, preferred
):
    ranked = host_selection.rank_hosts(candidates, primary, alive, loads, preferred)
    assert set(ranked) == (candidates & alive) - {primary}
    if preferred in ranked:
        assert ranked[0] == preferred


def test_a_secondary_needs_its_ram_twice_and_no_empty_amounts():
    amounts = host_selection.secondary_resources(host_selection.Size(vcpus=2, memory_mb=1024, disk_gb=0))
    assert amounts == {"VCPU": 2, "MEMORY_MB": 2048}


def test_no_host_says_what_is_missing():
    size = host_selection.Size(1, 2048, 1)
    assert "4096 MB" in str(host_selection.no_host_reason(size, ["a"], "a"))
    assert "nova-colo-agent" in str(host_selection.no_host_reason(size, ["a", "b"], "a"))
