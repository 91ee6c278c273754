# SPDX-License-Identifier: Apache-2.0
"""The guides are complete: every reason, every option, every request."""

import configparser
import importlib
import json
import pathlib
import re

import nova.conf
import pytest
from oslo_config import cfg
from oslo_log import _options as log_options
from oslo_messaging import opts as messaging_opts
from oslo_privsep import priv_context

from nova_colo import conf as colo_conf
from nova_colo.agent.qemu import privileged
from nova_colo.pair.catalogue import CATALOGUE
from nova_colo.pair.reason import Group
from nova_colo.virt import options as virt_options

REPO = pathlib.Path(__file__).resolve().parents[2]
DOCS = REPO / "docs"
GUIDE = (DOCS / "operate.md").read_text()


@pytest.mark.parametrize("group", sorted(set(Group) - {Group.STAGE, Group.PART}))
def test_the_operators_guide_has_a_table_of_each_group_of_reasons(group):
    assert f"```{{reasons}} {group}\n```\n" in GUIDE


def test_what_an_operator_does_about_a_reason_links_to_where_it_is_explained():
    headings = re.findall(r"^#+ (.+)$", GUIDE, re.M)
    anchors = {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
    linked = {link for kind in CATALOGUE.values() for link in re.findall(r"\(#([^)]+)\)", kind.remedy)}
    assert linked <= anchors


def options_of(conf: cfg.ConfigOpts) -> set[tuple[str, str]]:
    names = {("DEFAULT", name) for name in conf}
    return names | {(group, name) for group in conf._groups for name in conf[group]}


@pytest.fixture(scope="module")
def known_options() -> set[tuple[str, str]]:
    ours = [*colo_conf.list_opts(), *virt_options.list_opts(), *messaging_opts.list_opts()]
    ours += [("DEFAULT", log_options.logging_cli_opts)]
    ours += [(privileged.context.cfg_section, priv_context.OPTS)]
    importlib.import_module("nova.conf")
    return {(group or "DEFAULT", opt.dest) for group, opts in ours for opt in opts} | options_of(
        nova.conf.CONF
    )


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
    there = {
        request["operationId"] for methods in described["paths"].values() for request in methods.values()
    }
    assert set(re.findall(r"openapi-request:: (\S+)", (DOCS / "api.md").read_text())) == there
