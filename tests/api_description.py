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
    assert response.request.method and response.request.url
    operation = _operation(response.request.method, response.request.url)
    described = operation["responses"].get(str(response.status_code))
    assert described, f"{response.status_code} is not described: {response.text}"
    schema = described.get("content", {}).get("application/json", {}).get("schema")
    if schema is None:
        assert response.text == ""
    else:
        assert response.headers["Content-Type"].startswith("application/json")
        validator = jsonschema.Draft202012Validator(schema | {"components": DOCUMENT["components"]})
        errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(response.json())]
        assert not errors, errors
    return response


def _operation(method: str, url: str) -> dict:
    path = url.split("?")[0].rstrip("/")
    for template, methods in DOCUMENT["paths"].items():
        if method.lower() in methods and re.search(re.sub(r"{\w+}", "[^/]+", template) + "$", path):
            return methods[method.lower()]
    raise AssertionError(f"{method} {path} is not described")
