# SPDX-License-Identifier: Apache-2.0
"""Test the output and the exit codes of the command line, mainly of refusals."""

import json
import shlex

import pytest

from lab.cli import build_parser, main
from lab.core import install
from lab.core.layout import DEFAULT_PREFIX


@pytest.fixture(autouse=True)
def in_the_virtual_environment(monkeypatch):
    monkeypatch.setattr(install, "in_venv", lambda: True)


@pytest.fixture
def run(layout, capsys):
    def run(*arguments):
        code = main(["--prefix", str(layout.prefix), *arguments])
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


def test_up_refuses_to_run_as_an_ordinary_user(run, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    code, _, error = run("up")
    assert code == 2
    assert error.count("\n") == 1 and "root" in error


def test_missing_packages_without_root_are_named_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(install, "missing_packages", lambda: ["mariadb-server"])
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(install.RefusalError, match="mariadb-server"):
        install.ensure_packages(print, tmp_path / "log")


def test_the_prefix_may_stand_before_or_behind_the_command():
    for words in (["--prefix", "/x", "status"], ["status", "--prefix", "/x"]):
        assert build_parser().parse_args(words).prefix == "/x"
    assert build_parser().parse_args(["status"]).prefix == DEFAULT_PREFIX


@pytest.mark.parametrize("action", ["kill", "stop", "start"])
def test_an_unknown_host_is_refused_with_the_known_ones(run, spec, action):
    code, _, error = run("host", action, "compute-z")
    assert code == 2
    assert error == "lab: no compute host 'compute-z'; there are: compute-a, compute-b, compute-c\n"


def test_a_host_has_to_be_named(run, spec):
    code, _, error = run("host", "kill")
    assert code == 2
    assert "compute-a, compute-b, compute-c" in error


def test_host_list_names_all_hosts(run, spec):
    code, output, _ = run("host", "list")
    assert code == 0
    assert [line.split()[0] for line in output.splitlines()] == ["compute-a", "compute-b", "compute-c"]


def test_an_unknown_service_is_refused_with_the_known_ones(run, spec):
    code, _, error = run("service", "restart", "nova")
    assert code == 2
    assert "nova-api" in error and "engine" in error


def test_an_unknown_user_is_refused_with_the_known_ones(run, spec):
    code, _, error = run("env", "root")
    assert code == 2
    assert "viewer" in error


def test_an_unknown_log_is_refused_with_the_known_ones(run, spec, layout):
    layout.log("keystone").write_text("line\n")
    code, _, error = run("logs", "nova")
    assert code == 2
    assert "keystone" in error


def test_status_of_a_lab_that_is_not_up_is_exit_code_3(run, spec):
    code, _, error = run("status")
    assert (code, error) == (3, "lab: not up\n")


def test_status_as_json_lists_the_services_even_when_nothing_runs(run, spec):
    code, output, _ = run("status", "--json")
    assert code == 3
    services = {service["name"]: service for service in json.loads(output)["services"]}
    assert services["nova-api"]["state"] == "stopped"
    assert services["compute-b-agent"]["host"] == "compute-b"


def test_status_is_exit_code_1_when_something_does_not_run(run, spec, supervisor):
    from lab.core.service import Service

    supervisor.start(Service("keystone", ("sleep", "600")))
    code, output, _ = run("status")
    assert code == 1
    assert "running" in output and "stopped" in output


def test_down_says_when_nothing_is_up_and_that_is_no_error(run, spec):
    assert run("down")[:2] == (0, "not up\n")
    assert run("down")[:2] == (0, "not up\n")


def test_purge_removes_the_data(run, spec, layout):
    assert run("down", "--purge")[0] == 0
    assert not layout.prefix.exists()


def test_env_prints_quoted_exports(run, spec):
    code, output, _ = run("env", "demo")
    assert code == 0
    lines = [shlex.split(line) for line in output.splitlines()]
    assert all(line[0] == "export" and len(line) == 2 for line in lines)
    exports = dict(line[1].split("=", 1) for line in lines)
    assert exports["OS_PASSWORD"] == spec.passwords["demo"]
    assert exports["OS_PROJECT_NAME"] == "demo"


def test_two_commands_do_not_change_a_lab_at_the_same_time(run, spec, layout):
    import fcntl

    with layout.lock_file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        code, _, error = run("down")
    assert code == 1
    assert "another command" in error
