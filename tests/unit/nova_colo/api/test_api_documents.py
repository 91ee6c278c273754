# SPDX-License-Identifier: Apache-2.0
"""Generated documents are complete. Whether they are up to date is checked by make docs."""

import json
import pathlib

import openapi_spec_validator
import pytest

from nova_colo import policies
from nova_colo.api import filter
from nova_colo.policies import base

REPO = pathlib.Path(__file__).resolve().parents[4]
GENERATED = ("openapi.json", "samples/nova-colo.conf.sample", "samples/policy.yaml.sample")


@pytest.mark.parametrize("name", GENERATED)
def test_it_names_nothing_of_the_machine_it_was_made_on(name):
    text = (REPO / "docs" / name).read_text()
    assert str(REPO) not in text and str(pathlib.Path.home()) + "/" not in text


@pytest.fixture(scope="module")
def described():
    return json.loads((REPO / "docs" / "openapi.json").read_text())


def test_the_description_is_valid_openapi(described):
    openapi_spec_validator.validate(described)


def test_every_route_of_ours_is_described(described):
    ours = {
        (method, path)
        for _kind, method, path, _handler, _conditions in filter.ROUTES
        if "os-fault-tolerance" in path
    }
    ours.add(("POST", "/servers/{server_id}/action"))
    there = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    assert there == ours


def test_every_request_has_a_rule_and_every_rule_is_one_of_a_request(described):
    named = {
        rule
        for methods in described["paths"].values()
        for operation in methods.values()
        for rule in operation["x-policies"]
    }
    assert named == {rule.name for rule in policies.list_rules() if rule.name.startswith(base.ROOT)}
    assert all(
        operation["x-policies"] for methods in described["paths"].values() for operation in methods.values()
    )


def test_rules_are_documented():
    for rule in policies.list_rules():
        assert rule.description.endswith("."), rule.name
        if rule.name.startswith(base.ROOT):
            assert rule.operations and all(operation["path"].startswith("/") for operation in rule.operations)
