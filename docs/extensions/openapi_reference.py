# SPDX-License-Identifier: Apache-2.0
"""Sphinx directives that show one request, or one object, of the OpenAPI description as tables.

sphinxcontrib-openapi 0.10 does not do: of this description, which is OpenAPI 3.1, it shows neither the values
of enumerations, nor the members of nullable objects, nor the bodies of the actions, which are alternatives.
"""

import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

DOCUMENT = pathlib.Path(__file__).parents[1] / "openapi.json"

Schema = dict[str, Any]


class OpenApi(SphinxDirective):
    """The common base of the directives."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the nodes of the request or object that the argument names."""
        self.env.note_dependency(str(DOCUMENT))
        text = "\n".join(self.lines(json.loads(DOCUMENT.read_text()), self.arguments[0]))
        return self.parse_text_to_nodes(text)

    def lines(self, document: dict[str, Any], name: str) -> Iterator[str]:
        """Yield reStructuredText."""
        raise NotImplementedError()


class OpenApiRequest(OpenApi):
    """``.. openapi-request:: list-pairs``: the request with that operationId."""

    def lines(self, document: dict[str, Any], name: str) -> Iterator[str]:
        """Yield summary, rules, parameters, body, answer and errors."""
        method, path, request = find_request(document, name)
        yield from (f"**{method.upper()}** ``{path}``", "", request["summary"], "")
        yield from ("Rules: " + ", ".join(f"``{rule}``" for rule in request["x-policies"]), "")
        query = [part for part in request["parameters"] if part["in"] == "query"]
        rows = [(part["name"], kind(part["schema"]), part.get("description", "")) for part in query]
        yield from table("Query parameters", rows)
        if "requestBody" in request:
            bodies = request["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
            yield from table("Body, one of", [row for body in bodies for row in members(body)])
        for status, answer in request["responses"].items():
            if status.startswith("2") and "content" in answer:
                yield from table(
                    f"Answer, {status}", list(members(answer["content"]["application/json"]["schema"]))
                )
        statuses = [(status, answer["description"]) for status, answer in request["responses"].items()]
        yield from table("Status", statuses, ("Code", "When"))


class OpenApiObject(OpenApi):
    """``.. openapi-object:: Pair``: the schema of that name."""

    def lines(self, document: dict[str, Any], name: str) -> Iterator[str]:
        """Yield its members."""
        yield from table(name, list(members(document["components"]["schemas"][name])))


def find_request(document: dict[str, Any], name: str) -> tuple[str, str, dict[str, Any]]:
    """Return method, path and description of a request.

    :raises LookupError: when there is none with this operationId
    """
    for path, methods in document["paths"].items():
        for method, request in methods.items():
            if request["operationId"] == name:
                return method, path, request
    raise LookupError(f"openapi.json has no operationId {name}")


def members(schema: Schema, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield path, type and description of every member of an object, down to the last."""
    required = schema.get("required", ())
    for name, part in schema.get("properties", {}).items():
        path = prefix + name
        optional = "" if name in required else " (optional)"
        yield path, kind(part) + optional, part.get("description", "")
        for alternative in part.get("anyOf", [part]):
            yield from members(alternative, f"{path}.")
            yield from members(alternative.get("items", {}), f"{path}[].")


def kind(schema: Schema) -> str:
    """Return a type in words, as reStructuredText."""
    if "$ref" in schema:
        return f"a {schema['$ref'].split('/')[-1]}, see below"
    if "anyOf" in schema:
        return " or ".join(kind(part) for part in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"``{word}``" if word else "no value" for word in schema["enum"])
    if schema.get("type") == "array":
        return f"list: {kind(schema['items'])}"
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return " or ".join([schema.get("format", types[0]) + _range(schema), *types[1:]])


def _range(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None and high is None:
        return ""
    return f", {low} or more" if high is None or high >= 2**63 - 1 else f", {low} to {high}"


def table(
    title: str, rows: list[tuple[str, ...]], heads: tuple[str, ...] = ("Name", "Type", "Meaning")
) -> Iterator[str]:
    """Yield a list-table whose first column is code; nothing without rows."""
    if not rows:
        return
    yield from (f".. list-table:: {title}", "   :header-rows: 1", "")
    for row in (heads, *((f"``{first}``", *rest) for first, *rest in rows)):
        for position, cell in enumerate(row):
            # descriptions are plain text: escape what looks like markup
            text = cell if position < 2 else re.sub(r"([*`_|\\])", r"\\\1", cell)
            yield f"   {'*' if position == 0 else ' '} - {text}"
    yield ""


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directives."""
    app.add_directive("openapi-request", OpenApiRequest)
    app.add_directive("openapi-object", OpenApiObject)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
