# SPDX-License-Identifier: Apache-2.0
"""What docs/openapi.json says of answers, to hold real ones against."""

import json
import pathlib
import re

import jsonschema
import requests

DOCUMENT = json.loads((pathlib.Path(__file__).resolve().parent.parent / "docs" / "openapi.json").read_text())


def check(response: requests.Response) -> requests.Response:
    """Fail unless the description has an answer's status for its request, and its body fits; gives the answer."""
    request = response.request
    assert request.method and request.url
    check_answer(request.method, request.url, response.status_code, response.headers.get("Content-Type", ""), response.text)
    return response


def check_answer(method: str, url: str, status: int, content_type: str, text: str) -> None:
    """Do the same with an answer of whatever HTTP library."""
    described = _operation(method, url)["responses"].get(str(status))
    assert described, f"{status} is not described: {text}"
    schema = described.get("content", {}).get("application/json", {}).get("schema")
    if schema is None:
        assert text == ""
        return
    assert content_type.startswith("application/json")
    validator = jsonschema.Draft202012Validator(schema | {"components": DOCUMENT["components"]})
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(json.loads(text))]
    assert not errors, errors


def _operation(method: str, url: str) -> dict:
    path = url.split("?")[0].rstrip("/")
    for template, methods in DOCUMENT["paths"].items():
        if method.lower() in methods and re.search(re.sub(r"{\w+}", "[^/]+", template) + "$", path):
            return methods[method.lower()]
    raise AssertionError(f"{method} {path} is not described")
