# SPDX-License-Identifier: Apache-2.0
"""Inserting the filter into the api-paste.ini that Nova ships."""

import configparser
import pathlib
import stat
import sys

import pytest

from nova_colo.cmd import api_paste

SHIPPED = pathlib.Path(sys.prefix) / "etc" / "nova" / "api-paste.ini"


@pytest.fixture
def paste(tmp_path):
    path = tmp_path / "api-paste.ini"
    path.write_text(SHIPPED.read_text())
    path.chmod(0o640)
    return path


def pipelines(path):
    parser = configparser.RawConfigParser()
    parser.read(path)
    return [parser.get(name, "keystone").split() for name in api_paste.COMPOSITES], parser


def test_the_filter_stands_right_before_nova_in_both_pipelines(paste):
    assert api_paste.insert_filter(str(paste), "/etc/nova-colo/nova-colo.conf")
    filters, parser = pipelines(paste)
    assert all(names[-2:] == ["colo", "osapi_compute_app_v21"] for names in filters)
    assert all(names.index("keystonecontext") < names.index("colo") for names in filters)
    assert parser.get("filter:colo", "config_file") == "/etc/nova-colo/nova-colo.conf"


def test_every_other_line_and_the_mode_stay(paste):
    before = paste.read_text().splitlines()
    api_paste.insert_filter(str(paste), "/x.conf")
    after = paste.read_text().splitlines()
    assert [line.replace(" colo", "", 1) for line in after[: len(before)]] == before
    assert stat.S_IMODE(paste.stat().st_mode) == 0o640


def test_doing_it_again_changes_nothing(paste):
    api_paste.insert_filter(str(paste), "/x.conf")
    once = paste.read_bytes()
    assert not api_paste.insert_filter(str(paste), "/x.conf")
    assert paste.read_bytes() == once


def test_another_configuration_replaces_the_first(paste):
    api_paste.insert_filter(str(paste), "/x.conf")
    assert api_paste.insert_filter(str(paste), "/y.conf")
    _, parser = pipelines(paste)
    assert parser.get("filter:colo", "config_file") == "/y.conf"


def test_a_file_that_is_not_novas_is_left_as_it_is(tmp_path):
    path = tmp_path / "other.ini"
    path.write_text("[composite:main]\nuse = egg:Paste#urlmap\n")
    with pytest.raises(api_paste.PasteError, match="keystonecontext"):
        api_paste.insert_filter(str(path), "/x.conf")
    assert path.read_text().startswith("[composite:main]\nuse = egg")
