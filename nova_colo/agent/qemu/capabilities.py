# SPDX-License-Identifier: Apache-2.0
"""Checks whether a host's QEMU has all that replicas need.

QEMU itself is queried; its version only rules out releases that are known to be broken.
"""

import functools
import json
import os
import shutil
import subprocess
from typing import Any

from nova_colo.pair import reasons
from nova_colo.pair.reasons import Reason

EMULATOR = "qemu-system-x86_64"
OBJECTS = ("colo-compare", "filter-mirror", "filter-redirector", "filter-rewriter")
DRIVERS = ("quorum", "replication", "nbd")
COMMANDS = (
    "x-colo-lost-heartbeat",
    "x-blockdev-change",
    "yank",
    "nbd-server-start",
    "blockdev-mirror",
    "query-colo-status",
)
OPTIONS = ("x-colo", "x-checkpoint-delay")
#: Releases that are known to lose or corrupt guests in COLO.
BROKEN = ((10, 0), (10, 1))


@functools.lru_cache(maxsize=4)
def _probe(emulator: str, modified: float) -> dict[str, Any]:
    """Start a QEMU without a guest and query its capabilities."""
    commands = ("qmp_capabilities", "query-version", "query-qmp-schema", "quit")
    requests = "\n".join(json.dumps({"execute": command}) for command in commands)
    arguments = [emulator, "-machine", "none", "-nodefaults", "-display", "none", "-qmp", "stdio", "-S"]
    done = subprocess.run(arguments, input=requests, capture_output=True, text=True, timeout=30, check=False)
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    returned = [answer["return"] for answer in answers if "return" in answer]
    if len(returned) < 3:
        return {"error": done.stderr.strip() or "it does not answer"}
    return {"version": returned[1]["qemu"], "missing": _missing(returned[2])}


def probe(emulator: str = EMULATOR) -> dict[str, Any]:
    """Return a QEMU's ``version`` and what it is ``missing``, or an ``error``.

    The result is cached until the program changes.
    """
    path = shutil.which(emulator)
    if path is None:
        return {"error": f"{emulator} is not installed"}
    return _probe(path, os.stat(path).st_mtime)


def version(probed: dict[str, Any]) -> str:
    """Return a QEMU's version as text; an empty string when it is not known."""
    parts = probed.get("version")
    return f"{parts['major']}.{parts['minor']}.{parts['micro']}" if parts else ""


def unmet_requirements(probed: dict[str, Any], allow_broken: bool = False) -> list[Reason]:
    """Return why a QEMU cannot run replicas; nothing when it can.

    :param probed: as ``probe`` returns it
    :param allow_broken: accept versions that are known to be broken
    """
    if "error" in probed:
        return [reasons.QEMU_UNKNOWN(text=probed["error"])]
    unmet = [reasons.QEMU_LACKS(version=version(probed), name=name) for name in probed["missing"]]
    release = (probed["version"]["major"], probed["version"]["minor"])
    if release in BROKEN and not allow_broken:
        unmet.append(reasons.QEMU_BROKEN(version=version(probed)))
    return unmet


def _missing(schema: list[dict[str, Any]]) -> list[str]:
    commands = {entry["name"] for entry in schema if entry["meta-type"] == "command"}
    values = {value for entry in schema if entry["meta-type"] == "enum" for value in _members(entry)}
    variants = {variant["case"] for entry in schema for variant in entry.get("variants", ())}
    others = values | variants | _fields(schema)
    missing = [name for name in COMMANDS if name not in commands]
    return missing + [name for name in (*OBJECTS, *DRIVERS, *OPTIONS) if name not in others]


def _members(entry: dict[str, Any]) -> list[str]:
    return [member["name"] for member in entry.get("members", ())] or entry.get("values", [])


def _fields(schema: list[dict[str, Any]]) -> set[str]:
    return {
        member["name"]
        for entry in schema
        if entry["meta-type"] == "object"
        for member in entry.get("members", ())
    }
