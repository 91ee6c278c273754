# SPDX-License-Identifier: Apache-2.0
"""Requests generated from the API description: no server errors, and refused ones change nothing."""

import copy
import uuid

import hypothesis
import pytest
import schemathesis
from hypothesis import strategies
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi import checks as openapi_checks

from lab.core.patience import patient
from nova_colo.pair.actions import ACTIONS
from tests.fixtures.api_description import DOCUMENT

EXAMPLES = hypothesis.settings.default.max_examples // 8
CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.negative_data_rejection,
]


def description():
    """Return the description without tokens, which have their own tests."""
    document = copy.deepcopy(DOCUMENT)
    del document["security"], document["components"]["securitySchemes"]
    return schemathesis.openapi.from_dict(document)


DESCRIPTION = description()
READING = [operation.ok() for operation in DESCRIPTION.get_all_operations() if operation.ok().method == "get"]
WITH_QUERY = [operation for operation in READING if len(operation.query)]
ACTION = DESCRIPTION["/servers/{server_id}/action"]["POST"]
#: The lab's users: each role in the project of the servers, and a manager of another project.
USERS = ("admin", "manager", "demo", "viewer", "outsider")
HOSTS = ("compute-a", "compute-b", "compute-c")
MODES = {"well-formed": GenerationMode.POSITIVE, "malformed": GenerationMode.NEGATIVE}


def requests_about(operation, mode, server_id):
    """Return a strategy of requests in which only the query or the body is generated."""
    path = {"server_id": server_id} if "{server_id}" in operation.path else {}
    requests = operation.as_strategy(generation_mode=MODES[mode], path_parameters=path)
    # a parameter whose value is an empty list is not sent: what is left may be well-formed
    return requests.filter(lambda case: [] not in (case.query or {}).values())


@pytest.fixture
def send(cloud, pair):
    """Return a function that sends generated requests of one kind to servers of the lab.

    It returns pairs of a body and the status of the response.
    """
    servers = {
        "ft": pair["server_id"],
        "plain": cloud.server("plain-1")["id"],
        "unknown": str(uuid.UUID(int=1, version=4)),
    }

    def run(operation, mode, user, about=("ft", "plain", "unknown")):
        answers = []

        @hypothesis.seed(1)
        @hypothesis.settings(
            max_examples=EXAMPLES,
            database=None,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(
            case=strategies.sampled_from(about).flatmap(
                lambda name: requests_about(operation, mode, servers[name])
            )
        )
        def each(case):
            response = case.call(
                base_url=cloud.compute, headers={"X-Auth-Token": cloud.token(user)}, timeout=patient(60)
            )
            answers.append((case.body, response.status_code))
            assert user == "admin" or not [host for host in HOSTS if host in response.text]
            case.validate_response(response, checks=CHECKS)

        each()
        return answers

    return run


def everything(cloud):
    """Return the state that refused requests must not change: servers, pairs and their records."""
    listed = cloud.request(
        "GET", "/servers/detail?all_tenants=1", headers={"OpenStack-API-Version": "compute 2.67"}
    )
    names = (
        "id",
        "name",
        "status",
        "locked",
        "OS-EXT-SRV-ATTR:host",
        "OS-EXT-STS:task_state",
        "OS-EXT-STS:vm_state",
    )
    servers = [[server[name] for name in names] for server in listed.json()["servers"]]
    unchanged = (
        "epoch",
        "primary",
        "secondary",
        "state",
        "wanted",
        "mode_policy",
        "failovers",
        "reserved_on",
    )
    pairs = {name: [pair[part] for part in unchanged] for name, pair in cloud.pairs().items()}
    ids = [pair["server_id"] for pair in cloud.pairs().values()]
    events = [cloud.request("GET", f"/servers/{id_}/os-fault-tolerance/events?limit=1").json() for id_ in ids]
    return servers, pairs, events


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("operation", READING, ids=[operation.label for operation in READING])
def test_reading(send, operation, user):
    assert not {status for _, status in send(operation, "well-formed", user) if status >= 500}


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("operation", WITH_QUERY, ids=[operation.label for operation in WITH_QUERY])
def test_reading_with_a_malformed_query(send, operation, user):
    assert {status for _, status in send(operation, "malformed", user)} <= {400, 403, 404}


@pytest.mark.parametrize(
    "user,about", [("viewer", "ft"), ("outsider", "ft"), ("admin", "plain"), ("admin", "unknown")]
)
@pytest.mark.parametrize("mode", MODES)
def test_actions_of_those_who_may_not_and_on_what_has_none(cloud, send, mode, user, about):
    before = everything(cloud)
    statuses = {status for _, status in send(ACTION, mode, user, [about])}
    assert statuses <= {400, 403, 404}
    assert everything(cloud) == before


@pytest.mark.parametrize(
    "user,expected", [("admin", {400}), ("manager", {400, 403}), ("demo", {400, 403})], ids=USERS[:3]
)
def test_malformed_actions_of_those_who_may(cloud, send, user, expected):
    """A body that is no object names no action of ours: Nova itself answers, with 404."""
    before = everything(cloud)
    answers = send(ACTION, "malformed", user, ["ft"])
    assert {status for body, status in answers if isinstance(body, dict)} <= expected
    assert {status for _, status in answers} <= expected | {404}
    assert everything(cloud) == before


@pytest.mark.parametrize("action", ACTIONS)
def test_one_action_with_anything_behind_its_name(cloud, pair, action):
    before = everything(cloud)
    junk = strategies.recursive(
        strategies.booleans()
        | strategies.integers()
        | strategies.text(max_size=300)
        | strategies.floats(allow_nan=False),
        lambda inner: (
            strategies.lists(inner, max_size=3)
            | strategies.dictionaries(strategies.text(max_size=9), inner, max_size=3)
        ),
        max_leaves=5,
    ).filter(lambda value: value != {})  # optional arguments may be omitted altogether

    @hypothesis.seed(1)
    @hypothesis.settings(max_examples=EXAMPLES, database=None, deadline=None)
    @hypothesis.given(argument=junk)
    def each(argument):
        assert cloud.act(pair["server_id"], {action: argument}).status_code == 400

    each()
    assert everything(cloud) == before
