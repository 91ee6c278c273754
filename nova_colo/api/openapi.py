# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI 3.1 description, generated from the routes and the schemas that validate requests.

``python -m nova_colo.api.openapi`` writes it to stdout.
"""

import dataclasses
import json
import re
import sys
from collections.abc import Callable
from typing import Any

from nova_colo import policies
from nova_colo.api import actions, checkpoints, events, fault_tolerance, filter, hosts
from nova_colo.api.schemas import actions as actions_schema
from nova_colo.api.schemas import checkpoints as checkpoints_schema
from nova_colo.api.schemas import events as events_schema
from nova_colo.api.schemas import fault_tolerance as schema
from nova_colo.api.schemas import hosts as hosts_schema
from nova_colo.api.schemas.base import REASON, UUID, Schema, query

_SERVERS = "FT servers"


@dataclasses.dataclass(frozen=True)
class Operation:
    """The description of a request beyond its route.

    :param refusals: status -> condition of an error, besides those of _EVERYWHERE
    """

    id: str
    tag: str
    summary: str
    query: Schema = dataclasses.field(default_factory=query)
    body: Schema | None = None
    answer: Schema | None = None
    refusals: dict[int, str] = dataclasses.field(default_factory=dict)


_NOT_FOUND = {404: "The server does not exist, or the caller may not see it."}
_NO_PAIR = {
    400: "The server is not fault tolerant, or the request is invalid; the message names the part.",
    409: "The pair of the server is not known yet. Try again later.",
}

OPERATIONS: dict[Callable[..., Any], Operation] = {
    fault_tolerance.discover: Operation(
        "discover",
        "Cloud",
        "Show what this cloud supports. A cloud without fault tolerance returns 404.",
        query=schema.EMPTY_QUERY,
        answer=schema.DISCOVERY,
        refusals={400: "The query is invalid."},
    ),
    fault_tolerance.index: Operation(
        "list-pairs",
        _SERVERS,
        "List FT servers.",
        query=schema.INDEX_QUERY,
        answer=schema.INDEX,
        refusals={400: "The query is invalid, or its marker is unknown."},
    ),
    fault_tolerance.show: Operation(
        "show-pair",
        _SERVERS,
        "Show the fault tolerance of a server.",
        query=schema.EMPTY_QUERY,
        answer=schema.SHOW,
        refusals=_NOT_FOUND | _NO_PAIR,
    ),
    checkpoints.index: Operation(
        "list-checkpoints",
        _SERVERS,
        "List the checkpoints of an FT server by interval.",
        query=checkpoints_schema.QUERY,
        answer=checkpoints_schema.HISTORY,
        refusals=_NOT_FOUND | _NO_PAIR,
    ),
    events.index: Operation(
        "list-events",
        _SERVERS,
        "List the events of an FT server.",
        query=events_schema.QUERY,
        answer=events_schema.INDEX,
        refusals=_NOT_FOUND | _NO_PAIR,
    ),
    hosts.index: Operation(
        "list-hosts",
        "Cloud",
        "List the hosts of FT servers.",
        query=hosts_schema.QUERY,
        answer=hosts_schema.INDEX,
        refusals={400: "The query is invalid."},
    ),
    actions.act: Operation(
        "act",
        _SERVERS,
        "Request an action on the pair of an FT server. The action continues after the response; its "
        "progress is in the state and the events of the pair. Callers who may see hosts may use the "
        "secondary's ID instead.",
        body={"oneOf": list(actions_schema.BODIES.values())},
        refusals=_NOT_FOUND
        | {
            400: "The server is not fault tolerant, or the body is invalid; the message names the part.",
            409: "The pair's state does not allow it, or the server is locked; the message says what to do.",
        },
    ),
}

_EVERYWHERE = {
    401: "The token is missing or invalid.",
    403: "The caller's role does not allow it.",
    406: "The microversion is not supported by this Nova.",
    415: "The body is not JSON.",
    503: "The database of fault tolerance does not answer.",
}

#: Nova's own shape. Keystone's middleware, which responds with 401, adds a title.
_ERROR: Schema = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": {
        "type": "object",
        "properties": {
            "code": {"type": "integer"},
            "message": {"type": "string"},
            "title": {"type": "string"},
            "details": REASON,
        },
        "required": ["code", "message"],
    },
}


def document() -> dict[str, Any]:
    """Return the whole description."""
    paths: dict[str, dict[str, Any]] = {}
    for _kind, method, path, handler, _conditions in filter.ROUTES:
        if handler in OPERATIONS:
            paths.setdefault(path, {})[method.lower()] = _operation(
                path, OPERATIONS[handler], _rules_of(method, path)
            )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "COLO fault tolerance for OpenStack Compute",
            "version": fault_tolerance.VERSION,
            "description": "Part of the compute API, at its endpoint and with its tokens and microversion "
            "headers. Each path may begin with a project ID. All other requests at the endpoint "
            "are Nova's own.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {
                "url": "{endpoint}",
                "description": "The compute endpoint in the service catalog of the cloud.",
                "variables": {"endpoint": {"default": "/v2.1"}},
            }
        ],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {"Pair": schema.PAIR, "Error": _ERROR},
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
        },
    }


def _operation(path: str, operation: Operation, rules: list[str]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "x-policies": rules,
        "parameters": _path_parameters(path) + _query_parameters(operation.query),
        "responses": _responses(operation),
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": operation.body}},
        }
    return described


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)}", path)
    return [{"name": name, "in": "path", "required": True, "schema": UUID} for name in names]


def _query_parameters(schema: Schema) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "query",
            "schema": {key: value for key, value in part.items() if key != "description"},
        }
        | ({"description": part["description"]} if "description" in part else {})
        | ({"allowEmptyValue": True} if "" in part.get("enum", ()) else {})
        for name, part in schema["properties"].items()
    ]


def _responses(operation: Operation) -> dict[str, Any]:
    if operation.answer is None:
        good: dict[str, Any] = {"202": {"description": "The request was accepted."}}
    else:
        content = {"application/json": {"schema": _with_references(operation.answer)}}
        good = {"200": {"description": "The request succeeded.", "content": content}}
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    bad = sorted((_EVERYWHERE | operation.refusals).items())
    return good | {str(status): {"description": when, "content": error} for status, when in bad}


def _with_references(part: Any) -> Any:
    """Return a schema that references the pair's schema instead of repeating it."""
    if part is schema.PAIR:
        return {"$ref": "#/components/schemas/Pair"}
    if isinstance(part, dict):
        return {name: _with_references(value) for name, value in part.items()}
    return [_with_references(value) for value in part] if isinstance(part, list) else part


def _rules_of(method: str, path: str) -> list[str]:
    """Return the names of the policy rules of a request."""
    names = []
    for rule in policies.list_rules():
        for operation in getattr(rule, "operations", ()):
            if operation["method"] == method and operation["path"].split(" (")[0] == path:
                names.append(rule.name)
    return names


def main() -> None:
    """Write the description."""
    json.dump(document(), sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
