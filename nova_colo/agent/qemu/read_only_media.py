# SPDX-License-Identifier: Apache-2.0
"""Copy read-only media of a guest, such as its config drive, to the host of its secondary."""

import base64
import pathlib
from collections.abc import Iterable, Iterator, Mapping

from nova_colo.agent.replication import ReplicationError
from nova_colo.pair import reasons

#: Maximum size in bytes of a file that is copied: it is sent by RPC. A config drive has some hundred
#: thousand.
LARGEST = 8 << 20


def read(paths: Iterable[str]) -> list[dict[str, str]]:
    """Return files in a form for RPC: ``path`` and ``content``, in base64.

    :raises ReplicationError: when a file cannot be read or is too large
    """
    return [{"path": path, "content": base64.b64encode(_content(path)).decode()} for path in paths]


def make(sent: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """Create the files that do not exist. Yield the path of each that was created.

    :param sent: files as ``read`` returns them
    :raises ReplicationError: when a file exists with other content
    """
    for medium in sent:
        path, content = pathlib.Path(medium["path"]), base64.b64decode(medium["content"])
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            yield str(path)
        elif _content(str(path)) != content:
            raise ReplicationError(reasons.FILE_IN_THE_WAY(path=str(path)))


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise ReplicationError(reasons.FILE_UNREADABLE(path=path, text=error.strerror)) from error
    if len(content) > LARGEST:
        raise ReplicationError(reasons.MEDIUM_TOO_LARGE(path=path, limit_mb=LARGEST >> 20))
    return content
