# SPDX-License-Identifier: Apache-2.0
"""Run one stage of the tests, or report on all: ``python3 tests/stage.py run NAME COMMAND...``.

Each line of a stage's output is shown after the stage's name and minutes, since two stages may run
concurrently, and written to ``.lab/results/NAME.log``. The numbers of tests are from pytest's JUnit file.
Standard library only.
"""

import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass

RESULTS = pathlib.Path(__file__).resolve().parent.parent / ".lab" / "results"
COUNTS = ("tests", "failures", "errors", "skipped")
#: Characters of a failed test's reason that the report shows.
REASON = 300


@dataclass(frozen=True)
class Result:
    """Result of a stage.

    :ivar began: time of its start, as of time.time()
    :ivar busy: share of CPU time of this machine in use meanwhile, by all processes
    :ivar counts: numbers of pytest, see COUNTS; None for a stage without tests
    """

    name: str
    began: float
    seconds: float
    exit_code: int
    busy: float
    counts: dict[str, int] | None

    @property
    def failed(self) -> int:
        """Number of failed tests; 1 if the stage failed without any."""
        failures = self.counts["failures"] + self.counts["errors"] if self.counts else 0
        return failures or int(self.exit_code != 0)

    @property
    def skipped(self) -> int:
        """Number of skipped tests."""
        return self.counts["skipped"] if self.counts else 0

    @property
    def passed(self) -> int:
        """Number of passed tests."""
        return (
            max(0, self.counts["tests"] - self.failed - self.skipped)
            if self.counts
            else int(self.exit_code == 0)
        )


def begin() -> None:
    """Delete the results of the previous run."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    for path in RESULTS.iterdir():
        path.unlink()


def run(name: str, command: list[str], niceness: int = 0) -> int:
    """Run a stage, show and store its output, and store its result. Return its exit code.

    :param niceness: how much its priority is lowered
    """
    RESULTS.mkdir(parents=True, exist_ok=True)
    junit = RESULTS / f"{name}.xml"
    junit.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "PYTEST_ADDOPTS": f"{os.environ.get('PYTEST_ADDOPTS', '')} --junitxml={junit}".strip(),
    }
    began, before = time.time(), _cpu()
    with (RESULTS / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            text=True,
            close_fds=False,  # a make in the stage inherits the job server of the calling make
            start_new_session=niceness > 0,
        )
        if niceness:
            _lower_priority(process.pid, niceness)
        assert process.stdout is not None
        try:
            for line in process.stdout:
                log.write(line)
                sys.stdout.write(f"{name:14}{(time.time() - began) / 60:5.1f}  {line}")
                sys.stdout.flush()
        except KeyboardInterrupt:  # a terminal sends no signal to another session
            process.terminate()
            raise
    exit_code = process.wait()
    total, idle = (now - then for now, then in zip(_cpu(), before, strict=True))
    result = Result(
        name, began, time.time() - began, exit_code, 1 - idle / total if total else 0.0, _counts(junit)
    )
    (RESULTS / f"{name}.json").write_text(json.dumps(asdict(result)))
    return exit_code


def _lower_priority(leader: int, niceness: int) -> None:
    """Lower the priority of a session.

    The kernel may schedule sessions as groups: niceness then counts within a session only, and each service
    of a lab has a session of its own.
    """
    os.setpriority(os.PRIO_PROCESS, leader, niceness)
    with contextlib.suppress(OSError):  # a kernel without such groups, or a container that may not set them
        pathlib.Path(f"/proc/{leader}/autogroup").write_text(str(niceness))


def report() -> int:
    """Print the table of all stages. Return 1 if one has failed, or if none has run."""
    results = sorted(
        (Result(**json.loads(path.read_text())) for path in RESULTS.glob("*.json")), key=lambda one: one.began
    )
    if not results:
        print("no stage has run")
        return 1
    print(f"\n{'stage':16}{'tests':>7}{'passed':>8}{'failed':>8}{'skipped':>9}{'minutes':>9}{'CPU':>6}")
    for one in results:
        tests = str(one.counts["tests"]) if one.counts else "-"
        numbers = f"{tests:>7}{one.passed:>8}{one.failed:>8}{one.skipped:>9}"
        print(f"{one.name:16}{numbers}{one.seconds / 60:>9.1f}{one.busy:>6.0%}")
    passed, failed, skipped = (
        sum(getattr(one, name) for one in results) for name in ("passed", "failed", "skipped")
    )
    minutes = (max(one.began + one.seconds for one in results) - results[0].began) / 60
    print(f"{'all':48}{minutes:>9.1f}")
    for one in results:
        for case, reason in _failures(RESULTS / f"{one.name}.xml"):
            print(f"{one.name}: {case}: {reason}")
        if one.exit_code:
            print(f"{one.name} has failed: {RESULTS / one.name}.log")
    print(f"total: {passed} passed, {failed} failed, {skipped} skipped")
    return int(any(one.exit_code or one.failed for one in results))


def slowest(number: int) -> int:
    """Print the slowest tests, fixtures included, with the seconds and the stage of each."""
    cases = [
        (float(case.get("time", 0)), path.stem, f"{case.get('classname')}.{case.get('name')}")
        for path in RESULTS.glob("*.xml")
        for case in ET.parse(path).getroot().iter("testcase")
    ]
    for seconds, stage, name in sorted(cases, reverse=True)[:number]:
        print(f"{seconds:7.1f}  {stage:16}{name}")
    return 0


def _cpu() -> tuple[int, int]:
    """Return the total time of all CPUs so far, and their idle time."""
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle, waiting = fields[3:5]
    return sum(fields), idle + waiting


def _counts(junit: pathlib.Path) -> dict[str, int] | None:
    """Return the numbers of pytest, or None if it has written none."""
    if not junit.exists():
        return None
    suites = list(ET.parse(junit).getroot().iter("testsuite"))
    return {name: sum(int(suite.get(name, 0)) for suite in suites) for name in COUNTS}


def _failures(junit: pathlib.Path) -> list[tuple[str, str]]:
    """Return the failed tests, each with the first line of its reason."""
    if not junit.exists():
        return []
    failed = [
        (f"{case.get('classname')}.{case.get('name')}", problem.get("message", ""))
        for case in ET.parse(junit).getroot().iter("testcase")
        for problem in (*case.findall("failure"), *case.findall("error"))
    ]
    return [(name, message.partition("\n")[0][:REASON]) for name, message in failed]


def main(arguments: list[str]) -> int:
    """Run the command of the command line."""
    parser = argparse.ArgumentParser(prog="tests/stage.py", description="Run the stages of the tests.")
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("begin", help="delete the results of the previous run")
    commands.add_parser(
        "report", help="print the table of the stages that have run since; fail if one of them failed"
    )
    longest = commands.add_parser("slowest", help="print the slowest tests, fixtures included")
    longest.add_argument("number", nargs="?", type=int, default=40, help="how many (40)")
    one = commands.add_parser("run", help="run a stage")
    one.add_argument("--nice", type=int, default=0, metavar="N", help="lower its priority by N")
    one.add_argument("name")
    one.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    if options.what == "run":
        return run(options.name, options.command, options.nice)
    if options.what == "report":
        return report()
    if options.what == "slowest":
        return slowest(options.number)
    begin()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
