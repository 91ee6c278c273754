# SPDX-License-Identifier: Apache-2.0
"""The guides say what the code says: every reason, every option, every request."""

import ast
import configparser
import importlib
import json
import pathlib
import re
from collections.abc import Iterator

import nova.conf
import pytest
from oslo_config import cfg
from oslo_log import _options as log_options
from oslo_messaging import opts as messaging_opts

from nova_colo import conf as colo_conf
from nova_colo.virt import options as virt_options

REPO = pathlib.Path(__file__).resolve().parents[3]
DOCS = REPO / "docs"
GUIDE = (DOCS / "operate.md").read_text()
CODE_SPANS = re.findall(r"`([^`\n]+)`", GUIDE)

#: Where reasons of pairs are worded. What is said of other requests is in actions.md.
SOURCES = sorted(
    path
    for package in ("pair", "engine", "agent", "agent/replication", "agent/replication/qemu")
    for path in (REPO / "nova_colo" / package).glob("*.py")
    if path.name not in ("guard.py", "vetting.py")
)
#: Calls whose texts are for logs.
NOT_FOR_PEOPLE = ("LOG", "isolated", "RuntimeError", "NotImplementedError")


def sentences(path: pathlib.Path) -> Iterator[str]:
    """Yield each sentence that people may read; {} stands for what is filled in."""
    tree = ast.parse(path.read_text())
    skipped: set[int] = set()
    for node in ast.walk(tree):
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for_logs = isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[0] in NOT_FOR_PEOPLE
        if docstring or for_logs:
            skipped.update(map(id, ast.walk(node)))
        if isinstance(node, ast.JoinedStr):
            skipped.update(id(part) for part in node.values if isinstance(part, ast.Constant))
        if id(node) not in skipped and isinstance(node, ast.JoinedStr | ast.Constant):
            text = _template(node).strip()
            if re.match(r"[A-Z]|\{\} [a-z]", text) and text.count(" ") > 1 and text[-1] in ".}":
                yield text


def _template(node: ast.JoinedStr | ast.Constant) -> str:
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)


def causes() -> Iterator[str]:
    """Yield what the rule of arbitration gives as the reason of what it decides."""
    tree = ast.parse((REPO / "nova_colo" / "pair" / "arbitration.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Decision":
            yield from (_template(part) for part in node.args[1:] if isinstance(part, ast.JoinedStr | ast.Constant))


def test_reasons_are_found_in_the_code():
    assert "The agent on {} does not answer." in sentences(REPO / "nova_colo" / "pair" / "health.py")
    assert "host {} is lost" in causes()


@pytest.mark.parametrize("text", sorted({text for path in SOURCES for text in sentences(path)} | set(causes())))
def test_the_operators_guide_has_the_reason(text):
    # what an agent says comes with its host before it
    pattern = "(HOST: )?" + re.escape(text).replace(r"\{\}", ".+")
    assert any(re.fullmatch(pattern, span) for span in CODE_SPANS), f"docs/operate.md does not explain: {text}"


def options_of(conf: cfg.ConfigOpts) -> set[tuple[str, str]]:
    names = {("DEFAULT", name) for name in conf}
    return names | {(group, name) for group in conf._groups for name in conf[group]}


@pytest.fixture(scope="module")
def known_options() -> set[tuple[str, str]]:
    ours = [*colo_conf.list_opts(), *virt_options.list_opts(), *messaging_opts.list_opts()]
    ours += [("DEFAULT", log_options.logging_cli_opts)]
    importlib.import_module("nova.conf")
    return {(group or "DEFAULT", opt.dest) for group, opts in ours for opt in opts} | options_of(nova.conf.CONF)


@pytest.mark.parametrize("page", ["install.md", "operate.md"])
def test_every_line_of_configuration_is_an_option_that_is_there(page, known_options):
    blocks = re.findall(r"```ini\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    for block in blocks:
        parser = configparser.RawConfigParser(strict=False, default_section="none")
        parser.read_string(block)
        named = {(section, name) for section in parser.sections() for name in parser[section]}
        if "Service" not in parser.sections():
            assert named - known_options == set()


def test_the_reference_has_every_request():
    described = json.loads((DOCS / "openapi.json").read_text())
    there = {request["operationId"] for methods in described["paths"].values() for request in methods.values()}
    assert set(re.findall(r"openapi-request:: (\S+)", (DOCS / "api.md").read_text())) == there
