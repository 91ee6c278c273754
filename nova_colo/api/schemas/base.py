# SPDX-License-Identifier: Apache-2.0
"""Building blocks of schemas. Patterns are valid in JSON Schema 2020-12 and so in OpenAPI 3.1."""

from collections.abc import Iterable
from typing import Any

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
BOOLEAN: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
UUID: Schema = {"type": "string", "format": "uuid"}
TIME: Schema = {"type": "string", "format": "date-time", "description": "A time in ISO 8601, in UTC."}
#: As in Nova's own requests.
HOST: Schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[a-zA-Z0-9._-]+$"}
PROJECT_ID: Schema = {"type": "string", "minLength": 1, "maxLength": 255}
LINKS: Schema = {
    "type": "array",
    "items": {"type": "object", "properties": {"rel": STRING, "href": STRING}, "required": ["rel", "href"]},
}
LIMIT: Schema = {
    "type": "integer",
    "minimum": 1,
    "description": "Maximum number of items to return; at most the limit of the cloud is returned.",
}


REASON: Schema = {
    "type": "object",
    "properties": {"code": STRING, "params": {"type": "object"}},
    "required": ["code", "params"],
    "additionalProperties": False,
    "description": "The code of a reason, and those of its parameters that the caller may see. A parameter "
    "may be another reason, or a list.",
}


def reason(name: str, text: Schema) -> dict[str, Schema]:
    """Return the schemas of a reason's members: the text, its code and its parameters."""
    code = or_null(STRING | {"description": "The code of the reason; null when there is none."})
    return {
        name: text,
        f"{name}_code": code,
        f"{name}_params": {"type": "object", "description": "The parameters of the reason's code."},
    }


def words(values: Iterable[str], description: str = "") -> Schema:
    """Return the schema of an enumeration."""
    schema: Schema = {"type": "string", "enum": [str(value) for value in values]}
    return schema | ({"description": description} if description else {})


def several(item: Schema, description: str = "") -> Schema:
    """Return the schema of a list; in a query, of a parameter that may be repeated."""
    return {"type": "array", "items": item} | ({"description": description} if description else {})


def or_null(schema: Schema) -> Schema:
    """Return a schema that also allows null."""
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return schema | {"type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def record(description: str = "", /, **properties: Schema) -> Schema:
    """Return the schema of an object with exactly the given members."""
    schema: Schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return schema | ({"description": description} if description else {})


def query(**parameters: Schema) -> Schema:
    """Return the schema of a query with optional parameters."""
    return {"type": "object", "properties": parameters, "additionalProperties": False}
