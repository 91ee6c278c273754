# SPDX-License-Identifier: Apache-2.0
"""Test that the lab starts, finds and stops its own processes, and no others."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lab import leftovers
from lab.core.errors import LabError
from lab.core.identity import Identity, ProcessStat
from lab.core.layout import Layout
from lab.core.patience import patient
from lab.core.process import MARK, Supervisor
from lab.core.service import Service
from lab.core.waiting import wait_for

SLEEPER = Service("sleeper", ("sleep", "600"))
#: a parent with a child, both of which end on SIGTERM
FAMILY = Service("family", ("/bin/sh", "-c", "sleep 600 & wait"))
STUBBORN = Service(
    "stubborn", (sys.executable, "-c", "import signal, time; signal.signal(15, 1); time.sleep(600)")
)


def eventually(condition):
    for _ in range(round(patient(200))):
        if condition():
            return True
        time.sleep(0.02)
    return False


def children_of(pid):
    return [child.pid for child in psutil.Process(pid).children()]


def test_a_service_is_started_once(supervisor):
    assert supervisor.start(SLEEPER)
    pid = supervisor.pid("sleeper")
    assert not supervisor.start(SLEEPER)
    assert supervisor.pid("sleeper") == pid


def test_a_service_has_a_session_of_its_own_and_keeps_the_recorded_pid(supervisor):
    supervisor.start(SLEEPER)
    pid = supervisor.pid("sleeper")
    assert os.getsid(pid) == pid
    assert eventually(lambda: psutil.Process(pid).name() == "sleep")
    assert supervisor.is_running("sleeper")


def test_stop_ends_the_children_as_well(supervisor):
    supervisor.start(FAMILY)
    pid = supervisor.pid("family")
    assert eventually(lambda: children_of(pid))
    children = children_of(pid)
    assert supervisor.stop(["family"]) == ["family"]
    assert not any(ProcessStat.of(child) for child in [pid, *children])
    assert not supervisor.was_started("family")


def test_children_that_outlived_their_parent_are_ended_too(supervisor):
    supervisor.start(FAMILY)
    pid = supervisor.pid("family")
    assert eventually(lambda: children_of(pid))
    child = children_of(pid)[0]
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not supervisor.is_running("family"))
    assert ProcessStat.of(child)
    assert supervisor.stop(["family"]) == ["family"]
    assert not ProcessStat.of(child)


def test_who_does_not_end_when_asked_is_killed(supervisor, monkeypatch):
    monkeypatch.setattr("lab.core.process.STOP_SECONDS", 0.3)
    supervisor.start(STUBBORN)
    assert eventually(lambda: "python" in psutil.Process(supervisor.pid("stubborn")).name())
    supervisor.stop(["stubborn"])
    assert not supervisor.is_running("stubborn")


def test_a_killed_service_is_dead_and_can_be_started_again(supervisor):
    supervisor.start(SLEEPER)
    os.kill(supervisor.pid("sleeper"), signal.SIGKILL)
    assert eventually(lambda: not supervisor.is_running("sleeper"))
    assert supervisor.was_started("sleeper")
    assert supervisor.exit_code("sleeper") == -signal.SIGKILL
    assert supervisor.start(SLEEPER)


def test_what_was_killed_counts_as_dead_and_what_was_stopped_does_not(supervisor):
    supervisor.start(SLEEPER)
    supervisor.kill(["sleeper"])
    assert not supervisor.is_running("sleeper")
    assert supervisor.was_started("sleeper")
    supervisor.stop(["sleeper"])
    assert not supervisor.was_started("sleeper")


def test_a_process_that_got_a_recycled_pid_is_left_alone(supervisor, layout):
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as stranger:
        try:
            fields = Path(f"/proc/{stranger.pid}/stat").read_text().split()
            fields[21] = str(int(fields[21]) - 1)  # the previous owner of this pid was started earlier
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            layout.pid("sleeper").write_text(f"{' '.join(fields)} {boot}\n")
            assert not supervisor.is_running("sleeper")
            assert supervisor.stop(["sleeper"]) == []
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_pid_file_of_an_earlier_boot_means_nothing(supervisor, layout):
    supervisor.start(SLEEPER)
    pid = supervisor.pid("sleeper")
    text = layout.pid("sleeper").read_text()
    layout.pid("sleeper").write_text(text.rsplit(maxsplit=1)[0] + " 00000000-0000-0000-0000-000000000000\n")
    assert not supervisor.is_running("sleeper")
    layout.pid("sleeper").write_text(text)
    assert supervisor.pid("sleeper") == pid


@pytest.mark.parametrize("text", ["", "12", "12 (x) S 1"])
def test_a_pid_file_that_was_not_finished_names_nobody(layout, text):
    layout.pid("x").write_text(text)
    assert Identity.read(layout.pid("x")) is None


def test_a_command_name_with_blanks_and_parentheses_does_not_confuse(layout):
    stat = ProcessStat.parse("7 (a) b (c) S 1 7 9 " + " ".join(str(number) for number in range(7, 30)))
    assert (stat.pid, stat.state, stat.session, stat.started) == (7, "S", 9, 22)


def test_what_a_killed_up_left_behind_is_found_by_its_mark(supervisor, layout):
    supervisor.start(SLEEPER)
    environment = {**os.environ, MARK: str(layout.prefix)}
    with subprocess.Popen(["sleep", "600"], env=environment) as stray:
        assert eventually(lambda: psutil.Process(stray.pid).name() == "sleep")
        assert supervisor.stop_strays() == 1
        assert not ProcessStat.of(stray.pid)
    assert supervisor.is_running("sleeper")


def test_the_callers_environment_does_not_reach_the_services(supervisor, monkeypatch):
    monkeypatch.setenv("OS_PASSWORD", "x")
    monkeypatch.setenv("http_proxy", "http://proxy")
    assert not {"OS_PASSWORD", "http_proxy"} & set(supervisor.environment())


def test_a_command_that_fails_is_reported_with_its_output(supervisor):
    with pytest.raises(LabError, match=r"(?s)exit code 3.*no such thing"):
        supervisor.run("setup-x", ("/bin/sh", "-c", "echo no such thing; exit 3"))


def test_waiting_for_a_service_that_died_names_it_with_exit_code_and_log(supervisor):
    supervisor.start(Service("doomed", ("/bin/sh", "-c", "echo out of luck; exit 7")))
    with pytest.raises(
        LabError, match=r"(?s)doomed ended with exit code 7 while waiting for luck.*out of luck"
    ):
        wait_for("luck", lambda: "none yet", supervisor, ["doomed"], seconds=20)


def test_waiting_in_vain_says_what_was_missing(supervisor):
    with pytest.raises(LabError, match=r"timed out after .* waiting for luck: none yet"):
        wait_for("luck", lambda: "none yet", supervisor, seconds=0.1)


def test_waiting_in_vain_reports_the_probes_exception(supervisor):
    def probe():
        raise ConnectionRefusedError("nobody there")

    with pytest.raises(LabError, match="ConnectionRefusedError: nobody there"):
        wait_for("luck", probe, supervisor, seconds=0.1)


def test_waiting_ends_when_the_condition_comes(supervisor):
    answers = iter(["not yet", None])
    wait_for("luck", lambda: next(answers), supervisor, seconds=20)


#: Sets its process title, as OpenStack services do, which overwrites the environment in /proc.
TITLED = "import setproctitle, time; setproctitle.setproctitle('titled: ' + 'x' * 4000); time.sleep(600)"


@pytest.fixture
def killed_run(tmp_path: Path) -> Iterator[tuple[Path, list[int]]]:
    """Leave the leftovers of a killed run; yield its lab's folder and the pids of its services."""
    prefix = tmp_path / "test-killed"
    program = f"""
import os, sys
from lab.core.layout import Layout
from lab.core.process import Supervisor
from lab.core.service import Service
layout = Layout.at({str(prefix)!r})
layout.create()
supervisor = Supervisor(layout)
supervisor.start(Service("sleeper", ("/bin/sleep", "600")))
supervisor.start(Service("titled", (sys.executable, "-c", {TITLED!r})))
print(supervisor.pid("sleeper"), supervisor.pid("titled"), flush=True)
os.kill(os.getpid(), 9)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    pids = [int(word) for word in result.stdout.split()]
    yield prefix, pids
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)


def test_what_a_killed_run_has_left_is_removed_and_said(
    killed_run: tuple[Path, list[int]], tmp_path: Path
) -> None:
    prefix, (sleeper, titled) = killed_run
    assert eventually(lambda: "titled: " in " ".join(psutil.Process(titled).cmdline()))
    assert leftovers.remove(tmp_path, elsewhere=False) == [f"{prefix}: its data, 2 services"]
    assert not prefix.exists()
    assert [ProcessStat.of(pid) for pid in (sleeper, titled)] == [None, None]


def test_what_belongs_to_tests_that_run_is_left_alone(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path / "test-running")
    layout.create()
    supervisor = Supervisor(layout)
    supervisor.start(SLEEPER)
    try:
        assert leftovers.remove(tmp_path, elsewhere=False) == []
        assert supervisor.is_running(SLEEPER.name)
    finally:
        supervisor.kill([SLEEPER.name])
