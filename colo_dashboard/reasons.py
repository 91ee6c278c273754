# SPDX-License-Identifier: Apache-2.0
"""Translation of the API's reasons, stages and events into the user's language.

A reason with an unknown code, of a newer cloud, is shown in the API's own words.
"""

import itertools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import get_language, gettext, gettext_noop

from colo_dashboard.sentences import SENTENCES
from novaclient_colo.fault_tolerance import FaultTolerance, Permission

_NAME = re.compile(r"%\((\w+)\)s")
#: Values of parameters that are translated too.
WORDS = (
    gettext_noop("protected"),
    gettext_noop("starting"),
    gettext_noop("failing_over"),
    gettext_noop("degraded"),
    gettext_noop("unprotected"),
    gettext_noop("suspended"),
)


def translated(text: str | None, code: str | None = None, params: Mapping[str, Any] | None = None) -> str:
    """Return a reason in the user's language.

    :param text: the API's text, in English
    :param code: the code of the reason
    :param params: its parameters
    """
    if not text or code not in SENTENCES or (get_language() or "en").split("-")[0] == "en":
        return text or ""
    return _sentence(code, params or {})


def translated_member(thing: Any, name: str) -> str:
    """Return a reason in the user's language, from the member of an object with its text.

    :param thing: a resource of the client, or a dict; its code and parameters are in members beside the text
    """
    members = thing if isinstance(thing, dict) else vars(thing)
    return translated(members.get(name), members.get(f"{name}_code"), members.get(f"{name}_params"))


def permission(pair: FaultTolerance, action: str) -> Permission:
    """Return whether the user can perform an action now, with the reason in the user's language if not.

    :param action: its name in the API
    """
    known: dict[str, Any] = next((known for known in pair.actions if known["name"] == action), {})
    return Permission(pair.permission(action).allowed, translated_member(known, "reason"))


def translated_all(texts: Iterable[str], details: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return reasons in the user's language.

    :param details: their codes and parameters, in the same order; none from a cloud of an earlier release
    """
    nothing: Mapping[str, Any] = {}
    padded = itertools.chain(details, itertools.repeat(nothing))
    return [
        translated(text, detail.get("code"), detail.get("params"))
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
