# SPDX-License-Identifier: Apache-2.0
"""Inserting the filter into the api-paste.ini that Nova ships."""

import configparser
import pathlib
import stat
import sys

import pytest

from nova_colo.cmd import api_paste
from tests.fixtures import programs

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


def test_removing_it_leaves_the_file_that_nova_ships(paste):
    before = paste.read_bytes()
    api_paste.insert_filter(str(paste), "/x.conf")
    assert api_paste.remove_filter(str(paste))
    assert paste.read_bytes() == before
    assert stat.S_IMODE(paste.stat().st_mode) == 0o640


def test_removing_what_is_not_there_changes_nothing(paste):
    before = paste.read_bytes()
    assert not api_paste.remove_filter(str(paste))
    assert paste.read_bytes() == before


def test_no_pipeline_names_a_removed_filter_wherever_an_operator_has_put_it(paste):
    api_paste.insert_filter(str(paste), "/x.conf")
    own = (
        "\n[pipeline:mine]\npipeline = colo osapi_compute_app_v21\n"
        "\n[filter:mine]\npaste.filter_factory = mine:factory\n"
    )
    paste.write_text(paste.read_text() + own)
    assert api_paste.remove_filter(str(paste))
    parser = configparser.RawConfigParser()
    parser.read(paste)
    words = {
        word
        for section in parser.sections()
        for _key, value in parser.items(section)
        for word in value.split()
    }
    assert "colo" not in words
    assert parser.has_section("filter:mine") and not parser.has_section("filter:colo")


def test_the_command_inserts_and_removes_and_says_so(paste):

    def said(*options):
        done = programs.run("nova-colo-manage", "api-paste", str(paste), *options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    before = paste.read_bytes()
    assert "was inserted. Restart nova-api." in said("--filter-config", "/x.conf")
    assert "was removed. Restart nova-api." in said("--remove")
    assert paste.read_bytes() == before
    assert "is not there" in said("--remove")
