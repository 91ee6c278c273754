# SPDX-License-Identifier: Apache-2.0
"""Small JSON records on disk that several processes of a host read."""

import json
import os
import pathlib
import tempfile
from typing import Any


def write(path: pathlib.Path, record: dict[str, Any]) -> None:
    """Write a record so that a reader, or a crash, sees the old one or the new one and nothing between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as stream:
        json.dump(record, stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def read(path: pathlib.Path) -> dict[str, Any] | None:
    """Return a record, or None when there is none."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
