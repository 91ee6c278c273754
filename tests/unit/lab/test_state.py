# SPDX-License-Identifier: Apache-2.0
"""Test the stored state of a lab, and that cached work is not repeated."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from lab.cloud import dashboard, schema
from lab.core import install
from lab.core.errors import RefusalError
from lab.core.layout import Layout, write_private
from lab.core.state import State, ensure_passwords, host_names


def test_passwords_are_generated_once_and_are_the_owners_alone(layout):
    first = ensure_passwords(layout)
    assert ensure_passwords(layout) == first
    assert layout.passwords_file.stat().st_mode & 0o777 == 0o600
    assert len(set(first.values())) == len(first)
    assert all(value.isalnum() and len(value) == 20 for value in first.values())


def test_two_labs_have_different_passwords(layout, tmp_path):
    other = type(layout).at(tmp_path / "other")
    other.create()
    assert not set(ensure_passwords(layout).values()) & set(ensure_passwords(other).values())


def test_a_password_that_is_missing_is_added_and_the_others_stay(layout):
    first = ensure_passwords(layout)
    write_private(layout.passwords_file, '{"admin": "kept"}')
    second = ensure_passwords(layout)
    assert second["admin"] == "kept"
    assert second.keys() == first.keys()


def test_the_state_is_read_back_as_it_was_kept(layout):
    state = State(hosts=host_names(4), ports={"keystone": 1}, dashboard=False)
    state.save(layout)
    assert State.load(layout) == state


def test_a_prefix_without_a_lab_has_no_state(layout):
    assert State.load(layout) is None


def test_a_lab_can_get_more_hosts_but_not_fewer():
    state = State.with_hosts(2)
    state.grow_to(3)
    assert state.hosts == ["compute-a", "compute-b", "compute-c"]
    with pytest.raises(RefusalError, match="has 3 compute hosts"):
        state.grow_to(2)


@pytest.mark.parametrize("count", [0, 27])
def test_an_impossible_number_of_hosts_is_refused(count):
    with pytest.raises(RefusalError, match="1 to 26"):
        host_names(count)


def test_writing_the_same_text_again_changes_nothing(tmp_path):
    path = tmp_path / "file"
    assert write_private(path, "a")
    assert not write_private(path, "a")
    assert write_private(path, "b")


def test_pip_runs_only_when_its_inputs_have_changed(tmp_path, monkeypatch):
    commands = []
    venv = tmp_path / ".lab" / "venv"
    (venv / "bin").mkdir(parents=True)
    for name in ("python", "pip"):
        (venv / "bin" / name).touch()
    for name in ("constraints.txt", "pyproject.toml", "setup.cfg", "setup.py"):
        (tmp_path / name).write_text("one")
    monkeypatch.setattr(install, "REPO", tmp_path)
    monkeypatch.setattr(install, "LAB_ENVIRONMENT", dataclasses.replace(install.LAB_ENVIRONMENT, folder=venv))
    monkeypatch.setattr(install, "_run", lambda command, log, environment=None: commands.append(command))
    monkeypatch.setattr(install, "_missing_build_packages", lambda: [])
    monkeypatch.setattr(install, "ensure_uv", lambda say, log: None)
    lines = []

    def ensure():
        commands.clear()
        install.ensure_venv(lines.append, tmp_path / "log")
        return ["pip" in command for command in commands]

    assert ensure() == [True]
    assert ensure() == []
    (tmp_path / "constraints.txt").write_text("two")
    assert True in ensure()
    assert any("Python packages" in line for line in lines)
    (venv / "bin" / "python").unlink()
    assert ensure() == [False, True]  # the environment itself, then pip


@pytest.mark.parametrize("name", ["with blank", "x" * 100, "per%cent"])
def test_a_folder_that_cannot_hold_a_lab_is_refused(tmp_path, name):
    with pytest.raises(RefusalError, match="the lab's folder"):
        Layout.at(tmp_path / name).create()
    assert not (tmp_path / name).exists()


def test_the_dashboards_static_files_are_made_once_for_all_labs(spec, supervisor, tmp_path, monkeypatch):
    static = spec.layout.prefix / "horizon" / "static"
    commands = []

    def run(log, argv, environment):
        commands.append(argv[3])
        static.mkdir(parents=True, exist_ok=True)
        (static / argv[3]).touch()

    monkeypatch.setattr(dashboard, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(supervisor, "run", run)
    dashboard.make_static_files(spec, supervisor)
    assert commands == ["collectstatic", "compress"]
    dashboard.make_static_files(spec, supervisor)
    shutil.rmtree(spec.layout.prefix)
    spec.layout.create()
    dashboard.make_static_files(spec, supervisor)
    assert {path.name for path in static.iterdir()} == {"collectstatic", "compress"}
    assert commands == ["collectstatic", "compress"]


class FakeConnection:
    """Record the executed statements."""

    def __init__(self):
        self.statements = []

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def cursor(self):
        return self

    def execute(self, statement):
        self.statements.append(statement)


def test_tables_are_made_once_for_all_labs_and_half_made_ones_anew(spec, supervisor, tmp_path, monkeypatch):
    connection = FakeConnection()
    monkeypatch.setattr(schema, "connect_as_root", lambda spec: connection)
    monkeypatch.setattr(schema, "CACHE", tmp_path / "cache")
    schemas = schema.Schemas(spec, supervisor)

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(supervisor, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        schemas.placement()
    commands = []
    monkeypatch.setattr(
        supervisor, "run", lambda log, argv, environment=None: commands.append(Path(argv[0]).name)
    )
    schemas.placement()
    schemas.placement()
    assert commands == ["python", "mariadb-dump"]
    assert connection.statements.count("DROP DATABASE IF EXISTS placement") == 2
    (spec.layout.done / "schema-placement").unlink()  # as of another lab
    schemas.placement()
    assert commands[2:] == ["mariadb"]
