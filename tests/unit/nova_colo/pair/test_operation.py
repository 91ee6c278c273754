# SPDX-License-Identifier: Apache-2.0
"""Parameters of operations that another release has stored."""

from nova_colo.pair.operation import UnprotectParams


def test_a_parameter_is_read_by_its_name_in_the_release_before():
    stored = {"source": "compute-a", "epoch": 3, "target": "compute-b", "keep_room": True}
    assert UnprotectParams.read(stored) == UnprotectParams(
        "compute-a", 3, target="compute-b", keep_reservation=True
    )


def test_what_a_later_release_has_added_is_left_out():
    assert UnprotectParams.read({"epoch": 3, "of_a_later_release": True}) == UnprotectParams(epoch=3)


def test_stored_parameters_are_read_as_they_were():
    params = UnprotectParams("compute-a", 3, target="compute-b", keep_reservation=True)
    assert UnprotectParams.read(params.data()) == params
