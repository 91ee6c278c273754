# SPDX-License-Identifier: Apache-2.0
"""Small JSON files that several processes of a host read."""

import json
import os
import pathlib
import tempfile
from typing import Any


def write(path: pathlib.Path, record: dict[str, Any], mode: int = 0o600) -> None:
    """Write a record atomically: readers, also after a crash, get either the old or the new one.

    :param mode: permissions of the file
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as stream:
            os.fchmod(handle, mode)
            json.dump(record, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)  # a full file system must not be filled with these
        raise


def sync_folder(folder: pathlib.Path) -> None:
    """Make the creation and removal of files in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: pathlib.Path) -> dict[str, Any] | None:
    """Return a record, or None when the file does not exist."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
