# SPDX-License-Identifier: Apache-2.0
"""Insertion of the filter into Nova's api-paste.ini, and its removal. All other lines stay as they are."""

import configparser
import os
import re
import shutil
import tempfile

FILTER = "colo"
#: Middleware that a pipeline must have: the filter needs the caller's context.
CONTEXT = "keystonecontext"
COMPOSITES = (
    "composite:openstack_compute_api_v21",
    "composite:openstack_compute_api_v21_legacy_v2_compatible",
)

_SECTION = re.compile(r"^\[(?P<name>[^\]]+)\]")
_PIPELINE = re.compile(r"^(?P<key>\w+)\s*=(?P<filters>.*)$")


class PasteError(Exception):
    """The file is not a known form of Nova's api-paste.ini; the message names the missing part."""


def insert_filter(path: str, filter_config: str) -> bool:
    """Insert the filter as the last one, directly before Nova itself, into both composites.

    :param path: Nova's api-paste.ini
    :param filter_config: path of the configuration file that the filter reads
    :returns: whether the file was changed
    :raises PasteError: when a composite or keystonecontext is missing; the file is unchanged then
    :raises OSError: when the file cannot be read or written
    """
    with open(path) as stream:
        before = stream.read()
    after = _with_section(_with_pipelines(path, before), filter_config)
    if after == before:
        return False
    _replace(path, after)
    return True


def remove_filter(path: str) -> bool:
    """Remove the filter from every pipeline, and its own section.

    :param path: Nova's api-paste.ini
    :returns: whether the file was changed
    :raises OSError: when the file cannot be read or written
    """
    with open(path) as stream:
        before = stream.read()
    after = _without_filter(before)
    if after == before:
        return False
    _replace(path, after)
    return True


def _without_filter(text: str) -> str:
    """Return the text without the filter: nova-api does not start when a pipeline still has its name."""
    section, lines = "", []
    for line in text.splitlines(keepends=True):
        if match := _SECTION.match(line):
            section = match["name"]
        if section == f"filter:{FILTER}":
            continue
        if _PIPELINE.match(line):
            line = re.sub(rf"[ \t]*(?<![^\s=]){FILTER}(?!\S)", "", line)
        lines.append(line)
    return "".join(lines).rstrip("\n") + "\n"


def _with_pipelines(path: str, text: str) -> str:
    """Insert the filter's name into the pipelines that authenticate by Keystone."""
    section, inserted, lines = "", set(), []
    for line in text.splitlines(keepends=True):
        if match := _SECTION.match(line):
            section = match["name"]
        match = _PIPELINE.match(line)
        if section in COMPOSITES and match and CONTEXT in match["filters"].split():
            inserted.add(section)
            if FILTER not in match["filters"].split():
                # the last: after legacy_v2_compatible, which would remove the microversions of our responses
                # too
                line = re.sub(r"(\S+)(\s*)$", rf"{FILTER} \1\2", line, count=1)
        lines.append(line)
    for name in COMPOSITES:
        if name not in inserted:
            raise PasteError(f"{path}: [{name}] has no pipeline with {CONTEXT}. Is it Nova's api-paste.ini?")
    return "".join(lines)


def _with_section(text: str, filter_config: str) -> str:
    """Append the filter's own section, or set the config_file of an existing one."""
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(text)
    section = f"filter:{FILTER}"
    if not parser.has_section(section):
        wanted = f"[{section}]\npaste.filter_factory = nova_colo.api:factory\nconfig_file = {filter_config}\n"
        return text.rstrip("\n") + "\n\n" + wanted
    if parser.get(section, "config_file", fallback="") == filter_config:
        return text
    return re.sub(rf"(?m)(^\[{section}\][^\[]*^config_file\s*=).*$", rf"\1 {filter_config}", text)


def _replace(path: str, text: str) -> None:
    """Replace the file atomically, keeping its mode and owner."""
    path = os.path.realpath(path)
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".api-paste.")
    with os.fdopen(handle, "w") as stream:
        stream.write(text)
    shutil.copystat(path, temporary)
    status = os.stat(path)
    os.chown(temporary, status.st_uid, status.st_gid)
    os.replace(temporary, path)
