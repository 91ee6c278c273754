# SPDX-License-Identifier: Apache-2.0
"""Host names in sentences: marked, so that those who may not see hosts are not shown them."""

import re
from collections.abc import Iterable

_MARK = re.compile(r"\[\[([^\]]*)\]\]")


def host(name: str) -> str:
    """Return a host's name marked as such, for use in a reason."""
    return f"[[{name}]]"


def reveal(text: str) -> str:
    """Return a reason for those who may see hosts."""
    return _MARK.sub(r"\1", text)


def conceal(text: str, known: Iterable[str | None] = ()) -> str:
    """Return a reason for those who may not see hosts.

    :param known: host names that may also occur unmarked, in errors that others have worded
    """
    concealed = _MARK.sub("its host", text)
    for name in sorted({name for name in known if name}, key=len, reverse=True):
        concealed = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", "its host", concealed)
    return concealed
