# SPDX-License-Identifier: Apache-2.0
"""The API's reasons in the user's language: why, how far, and what has happened.

A reason whose code is not known here, because it is a newer cloud's, is shown as the API says it.
"""

import itertools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import get_language, gettext, gettext_noop

from colo_dashboard.sentences import SENTENCES
from novaclient_colo.fault_tolerance import FaultTolerance, Permission

_NAME = re.compile(r"%\((\w+)\)s")
#: Values of parameters that are words for people, too.
WORDS = (
    gettext_noop("protected"),
    gettext_noop("starting"),
    gettext_noop("failing_over"),
    gettext_noop("degraded"),
    gettext_noop("unprotected"),
    gettext_noop("suspended"),
)


def told(text: str | None, code: str | None = None, params: Mapping[str, Any] | None = None) -> str:
    """Return a reason in the user's language.

    :param text: as the API says it, in English
    :param code, params: the same for programs
    """
    if not text or code not in SENTENCES or (get_language() or "en").split("-")[0] == "en":
        return text or ""
    return _sentence(code, params or {})


def told_of(thing: Any, name: str) -> str:
    """Return the reason that something has under a name, with its code and parameters beside it.

    :param thing: a resource of the client's, or a dict
    """
    members = thing if isinstance(thing, dict) else vars(thing)
    return told(members.get(name), members.get(f"{name}_code"), members.get(f"{name}_params"))


def permission(pair: FaultTolerance, action: str) -> Permission:
    """Return whether the user can do something with a pair now, and in the user's language why not.

    :param action: its name on the wire
    """
    known: dict[str, Any] = next((known for known in pair.actions if known["name"] == action), {})
    return Permission(pair.permission(action).allowed, told_of(known, "reason"))


def told_all(texts: Iterable[str], details: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return reasons in the user's language.

    :param details: their codes and parameters, in the same order; none of a cloud of an earlier release
    """
    nothing: Mapping[str, Any] = {}
    padded = itertools.chain(details, itertools.repeat(nothing))
    return [
        told(text, detail.get("code"), detail.get("params"))
        for text, detail in zip(texts, padded, strict=False)
    ]


def _sentence(code: str, params: Mapping[str, Any]) -> str:
    full, public = SENTENCES[code]
    hidden = [name for name in _NAME.findall(full) if name not in params]
    sentence = public if public and hidden else full
    values = {
        name: _value(params[name]) if name in params else gettext("its host")
        for name in _NAME.findall(sentence)
    }
    return (gettext(sentence) % values).strip()


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return _sentence(value["code"], value["params"]) if value["code"] in SENTENCES else str(value["code"])
    if isinstance(value, list):
        return (" " if any(isinstance(part, Mapping) for part in value) else ", ").join(map(_value, value))
    if isinstance(value, float):
        return f"{value:g}"
    return gettext(value) if value in WORDS else str(value)
