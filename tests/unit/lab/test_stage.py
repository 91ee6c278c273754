# SPDX-License-Identifier: Apache-2.0
"""Test that the table at the end of the tests has the results of each stage."""

import os
import re
import sys
from pathlib import Path

import pytest

from lab.core import patience
from tests import stage

TESTS = """
import pytest

def test_passes(): pass
def test_fails(): assert not "what it was"
def test_cannot_begin(missing): pass
@pytest.mark.skip(reason="it says so")
def test_is_skipped(): pass
"""


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(stage, "RESULTS", tmp_path / "results")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # loading them takes longer than these tests
    return stage.RESULTS


def run_tests(name: str, folder: Path, text: str) -> int:
    (folder / "test_made_up.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    return stage.main(["run", name, *command])


def test_tests_are_counted_as_pytest_counts_them(
    tmp_path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_tests("made-up", tmp_path, TESTS) != 0
    assert stage.main(["run", "lint", sys.executable, "-c", "pass"]) == 0
    shown = capsys.readouterr().out
    assert all(re.match(r"made-up +[0-9.]+  ", line) for line in shown.splitlines())
    assert "what it was" in (results / "made-up.log").read_text()
    assert stage.main(["report"]) == 1
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line.split()[1:5] for line in lines if len(line.split()) == 7}
    assert rows["made-up"] == ["4", "1", "2", "1"]
    assert rows["lint"] == ["-", "1", "0", "0"]
    assert lines[-1] == "total: 2 passed, 2 failed, 1 skipped"
    failed = [line for line in lines if line.startswith("made-up: ")]
    assert len(failed) == 2
    assert "test_fails: AssertionError: assert not 'what it was'" in failed[0]
    assert "test_cannot_begin: " in failed[1]


def test_a_stage_that_fails_without_a_test_has_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stage.main(["run", "lint", sys.executable, "-c", "raise SystemExit(3)"]) == 3
    assert stage.main(["report"]) == 1
    assert capsys.readouterr().out.endswith("total: 0 passed, 1 failed, 0 skipped\n")


def test_all_is_well_when_all_have_passed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_tests("made-up", tmp_path, "def test_passes(): pass") == 0
    assert stage.main(["report"]) == 0
    assert capsys.readouterr().out.endswith("total: 1 passed, 0 failed, 0 skipped\n")


def test_the_slowest_are_those_that_took_longest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_tests("made-up", tmp_path, "import time\ndef test_fast(): pass\ndef test_slow(): time.sleep(0.2)")
    capsys.readouterr()
    assert stage.main(["slowest", "1"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split()[1] == "made-up" and line.endswith("test_slow")


def test_what_ran_before_counts_no_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage.main(["run", "lint", sys.executable, "-c", "raise SystemExit(3)"])
    assert stage.main(["begin"]) == 0
    assert stage.main(["report"]) == 1
    assert "no stage has run" in capsys.readouterr().out


@pytest.mark.parametrize("value", ["0.5", "-1", "many", "1000"])
def test_patience_is_a_number_from_one_up(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(patience.VARIABLE, value)
    with pytest.raises(SystemExit, match="TEST_PATIENCE is a number from 1 to 100"):
        patience._factor()


def test_a_stage_of_lower_priority_leaves_the_cpu_to_others(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    waits = "import os, time; [time.sleep(0.05) for _ in range(200) if os.nice(0) != {}]; "
    shows = "import os; print(os.nice(0), os.getsid(0) == os.getpid())"
    low, usual = 7, os.nice(0)
    command = [sys.executable, "-c", waits.format(low) + shows]
    assert stage.main(["run", "--nice", str(low), "low", *command]) == 0
    assert (results / "low.log").read_text() == f"{low} True\n"
    assert stage.main(["run", "usual", sys.executable, "-c", shows]) == 0
    assert (results / "usual.log").read_text() == f"{usual} False\n"
