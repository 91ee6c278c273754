# SPDX-License-Identifier: Apache-2.0
"""Reasons as data: a code with parameters. The text is rendered where it is read.

A reason is stored and sent as ``{"code": str, "params": {...}}``. The catalogue in
:mod:`nova_colo.pair.reasons` has its text, and which parameters a reader may see. A reader without the right
to see hosts gets no host name, and no text of Nova, libvirt, QEMU or an operating system: such parameters are
left out by their names, whatever their values.
"""

import dataclasses
import enum
import re
from collections.abc import Mapping
from typing import Any

_NAME = re.compile(r"%\((\w+)\)s")
#: A host's name in a sentence of a release without codes.
_MARK = re.compile(r"\[\[([^\]]*)\]\]")
#: Replaces a host in the text for a reader who may not see hosts.
SOME_HOST = "its host"
#: Replaces a value that does not match the pattern of its name.
NOT_SHOWN = "(not shown)"

_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
#: Patterns of text parameters that every reader may see, by name. A text that does not match is not shown.
_WORDS: Mapping[str, re.Pattern[str]] = {
    name: re.compile(pattern, re.ASCII)
    for name, pattern in {
        # of events of an earlier release
        "action": r"(ft-)?[a-z]{1,16}(-[a-z]{1,16}){0,2}",
        "command": r"[a-z]{1,16}([-_][a-z]{1,16}){0,5}",
        "day": r"\d{4}-\d{2}-\d{2}",
        "mode": r"colo|checkpoint|hybrid",
        "operation": _UUID,
        "policy": r"colo|checkpoint|hybrid",
        "request": r"req-" + _UUID,
        "role": r"primary|secondary|promoted|demoted|leaving",
        "server": _UUID,
        "service": r"Nova|Placement",
        "sockets": r"((mirror|answers|in|out)\d{1,3}(, )?){1,64}",
        "state": r"unprotected|starting|protected|degraded|suspended|failing_over|error",
        "status": r"[A-Z]{1,16}(_[A-Z]{1,16})?",
    }.items()
}


class Severity(enum.StrEnum):
    """How much attention a reason needs."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Group(enum.StrEnum):
    """The use of a reason, and its table in the operator's guide."""

    CAUSE = "cause"
    STATE = "state"
    LINK = "link"
    PROTECTION = "protection"
    BACKEND = "backend"
    HOST = "host"
    OPERATION = "operation"
    EVENT = "event"
    REFUSAL = "refusal"
    INELIGIBLE = "ineligible"
    PART = "part"
    STAGE = "stage"


@dataclasses.dataclass(frozen=True)
class Reason:
    """The reason for a state, an event or a refusal.

    :param code: of a kind in the catalogue, or one of a newer release
    :param params: numbers, texts, other reasons, and lists of these
    """

    code: str
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        """Return the text for readers who may see hosts, such as operators in a log."""
        return self.text(hosts=True)

    def text(self, hosts: bool) -> str:
        """Return the reason in English.

        :param hosts: whether the reader may see hosts
        """
        kind = CATALOGUE.get(self.code)
        if kind is None:
            return (
                f"{self.code}: {dict(self.params)}"
                if hosts
                else f"Reason {_word('command', self.code.replace('_', '-'))}."
            )
        template = kind.template if hosts or kind.public is None else kind.public
        shown = {name: self._shown(kind, name, hosts) for name in _NAME.findall(template)}
        text = (template % shown).strip()
        return text[:1].upper() + text[1:] if template.startswith("%") and not hosts else text

    def _shown(self, kind: "Kind", name: str, hosts: bool) -> str:
        value = self.params.get(name)
        if value is None or (not hosts and name in kind.private):
            return NOT_SHOWN
        if name in kind.hosts and not hosts:
            return SOME_HOST
        return _text(name, value, hosts or name in kind.own)

    @property
    def severity(self) -> Severity:
        """How much attention it needs; warning for a code of a newer release."""
        kind = CATALOGUE.get(self.code)
        return kind.severity if kind is not None else Severity.WARNING

    def data(self) -> dict[str, Any]:
        """Return the reason as it is stored and sent between services."""
        return {"code": self.code, "params": {name: _data(value) for name, value in self.params.items()}}

    def wire(self, hosts: bool) -> dict[str, Any]:
        """Return the reason as the API shows it, without parameters that the reader may not see.

        :param hosts: whether the reader may see hosts
        """
        kind = CATALOGUE.get(self.code)
        if kind is None and not hosts:
            return {"code": _word("command", self.code.replace("_", "-")).replace("-", "_"), "params": {}}
        hidden = frozenset() if hosts or kind is None else kind.hosts | kind.private
        own = kind.own if kind is not None else frozenset()
        shown = {
            name: _wire(name, value, hosts or name in own)
            for name, value in self.params.items()
            if name not in hidden
        }
        return {"code": self.code, "params": shown}

    def about(self) -> tuple[Any, ...]:
        """Return the identity of a reason: everything but its figures."""
        return (
            self.code,
            *sorted((name, repr(value)) for name, value in self.params.items() if not _is_figure(value)),
        )

    def figures(self) -> dict[str, float]:
        """Return the figures by name."""
        return {name: value for name, value in self.params.items() if _is_figure(value)}


@dataclasses.dataclass(frozen=True)
class Kind:
    """The reasons of one code. A call with its parameters returns a reason.

    :param template: the text, with a ``%(name)s`` for each parameter
    :param remedy: what an operator does about it, in Markdown
    :param hosts: parameters that are names of hosts
    :param private: parameters for readers who may see hosts: texts of other programs, paths, addresses
    :param own: parameters from the reader's own request, shown unchecked
    :param public: the text for readers who may not see hosts, where the template without them reads badly
    """

    code: str
    group: Group
    template: str
    remedy: str
    severity: Severity = Severity.INFO
    hosts: frozenset[str] = frozenset()
    private: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()
    public: str | None = None

    def __call__(self, **params: Any) -> Reason:
        """Return a reason.

        :raises TypeError: when a parameter is missing or too many
        """
        if params.keys() != self.names:
            raise TypeError(f"{self.code} takes {sorted(self.names)}, not {sorted(params)}")
        return Reason(self.code, {name: _plain(value) for name, value in params.items()})

    def __str__(self) -> str:
        """Return the text, of a kind without parameters."""
        return self.template

    @property
    def names(self) -> frozenset[str]:
        """The names of its parameters."""
        return frozenset(_NAME.findall(self.template))


#: Every kind by its code; filled by :mod:`nova_colo.pair.reasons` and :mod:`nova_colo.pair.action_rules`.
CATALOGUE: dict[str, Kind] = {}


def kind(
    group: Group, code: str, template: str, remedy: str = "", severity: Severity = Severity.INFO, **more: Any
) -> Kind:
    """Add a kind to the catalogue. See :class:`Kind`; hosts, private and own are space-separated names."""
    public = more.pop("public", None)
    named = {name: frozenset(value.split()) for name, value in more.items()}
    added = Kind(code, group, template, remedy, severity, public=public, **named)
    assert code not in CATALOGUE, code
    CATALOGUE[code] = added
    return added


def read(data: Any) -> Reason | None:
    """Return a reason that was stored or sent; None for nothing.

    :param data: as :meth:`Reason.data` returns it; a sentence stored by a release without codes becomes a
        reason with the code ``other``
    """
    if not data:
        return None
    if isinstance(data, Reason):
        return data
    if _is_data(data):
        return Reason(data["code"], {name: _undata(value) for name, value in data["params"].items()})
    return Reason("other", {"text": _MARK.sub(r"\1", str(data))})


def read_all(data: Any) -> list[Reason]:
    """Return reasons that were stored or sent.

    :param data: a list of what :func:`read` takes, or None
    """
    return [reason for reason in map(read, data or ()) if reason is not None]


def _is_data(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("code"), str)
        and isinstance(value.get("params"), Mapping)
    )


def _is_figure(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(value: Any) -> Any:
    """Return a parameter as JSON will return it: a member of an enumeration as text, a tuple as a list."""
    if isinstance(value, enum.StrEnum):
        return str(value)
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def _data(value: Any) -> Any:
    if isinstance(value, Reason):
        return value.data()
    return [_data(part) for part in value] if isinstance(value, list) else value


def _undata(value: Any) -> Any:
    if _is_data(value):
        return read(value)
    return [_undata(part) for part in value] if isinstance(value, list) else value


def _text(name: str, value: Any, everything: bool) -> str:
    if isinstance(value, Reason):
        return value.text(everything)
    if isinstance(value, list):
        separator = " " if any(isinstance(part, Reason) for part in value) else ", "
        return separator.join(_text(name, part, everything) for part in value)
    if _is_figure(value):
        return f"{value:.15g}"
    shown = str(value) if everything else _word(name, str(value))
    return shown.replace("_", " ") if name == "state" else shown


def _wire(name: str, value: Any, everything: bool) -> Any:
    if isinstance(value, Reason):
        return value.wire(everything)
    if isinstance(value, list):
        return [_wire(name, part, everything) for part in value]
    return value if everything or _is_figure(value) else _word(name, str(value))


def _word(name: str, value: str) -> str:
    """Return a text that every reader may see if it matches the pattern of its name, else NOT_SHOWN."""
    pattern = _WORDS.get(name)
    return value if pattern is not None and pattern.fullmatch(value) else NOT_SHOWN
