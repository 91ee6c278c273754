# SPDX-License-Identifier: Apache-2.0
"""What a guest can only read, such as its config drive: a file that the secondary's host gets a copy of."""

import base64
import pathlib
from collections.abc import Iterable, Iterator, Mapping

from nova_colo.agent.replication import ReplicationError
from nova_colo.pair import reasons

#: The largest file that is sent, in bytes: it goes by the message bus. A config drive has some hundred thousand.
LARGEST = 8 << 20


def read(paths: Iterable[str]) -> list[dict[str, str]]:
    """Return files as they can be sent: ``path`` and ``content``, in base64.

    :raises ReplicationError: when one cannot be read, or is too large
    """
    return [{"path": path, "content": base64.b64encode(_content(path)).decode()} for path in paths]


def make(sent: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """Make the files that are not there, and yield the path of each that was made.

    :param sent: as ``read`` returns them
    :raises ReplicationError: when there is another file in the place of one
    """
    for one in sent:
        path, content = pathlib.Path(one["path"]), base64.b64decode(one["content"])
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
