# SPDX-License-Identifier: Apache-2.0
"""colo-pair: refusals, messages and exit codes, with fake agents; tests/qemu has real ones."""

import json
import signal
import threading
import time

import pytest
from oslo_config import cfg

from lab.core.patience import patient
from nova_colo.cmd import pair
from nova_colo.standalone.agents import RefusedError, SilentError

SERVER = "1f0f0c3e-0000-4000-8000-000000000001"
HOSTS = ("--hosts", "a,b")
PAUSES = {"mean": 9.0, "p99": 20.0, "max": 120.0}
FIGURES = {"total": 3, "mismatch": 1, "periodic": 2, "forced": 0, "per_min": 1.5, "pause_ms": PAUSES}


class Host:
    """A host: the replica of its agent, whether the agent answers, and the method that fails."""

    def __init__(self):
        self.replica = None
        self.silent = False
        self.fails = None
        self.asked = 0


class FakeAgents:
    """Agents whose pairs are created at once and whose QEMUs carry out every call."""

    def __init__(self, *names):
        self.hosts = {name: Host() for name in names}
        self.done = []
        self.modes = []

    def call(self, host, method, **arguments):
        there = self.hosts.get(host)
        if there is not None:
            there.asked += 1
        if there is None or there.silent:
            raise SilentError(host)
        if method == there.fails:
            raise RefusedError(f"{host} has no capacity.")
        if method not in ("status", "checkpoint_buckets"):
            self.done.append((host, method))
        return getattr(self, f"_{method}")(there, **arguments)

    def _status(self, there, server_id):
        return there.replica

    def _checkpoint_buckets(self, there, since):
        return {SERVER: [{"start": time.time(), "mismatch": 1, "periodic": 1, "forced": 0}]}

    def _describe(self, there, spec):
        return {}

    def _prepare_secondary(self, there, spec, primary):
        there.replica = replica("secondary", spec["epoch"])
        return {}

    def _start_replication(self, there, spec, secondary):
        there.replica = replica("primary", spec["epoch"])

    def _demote(self, there, server_id, epoch, expected=None):
        there.replica = replica("demoted", epoch)

    def _promote(self, there, server_id, epoch, stopped):
        there.replica = replica("promoted", epoch, link_up=None)
        return 150.0

    def _settle(self, there, server_id, epoch):
        there.replica = replica("primary", epoch, link_up=None)

    def _run_alone(self, there, server_id, epoch):
        there.replica = replica("primary", epoch, link_up=None)

    def _discard(self, there, server_id, role=None, epoch=None):
        there.replica = None

    _release = _discard

    def _set_mode(self, there, server_id, mode, interval_ms, actual):
        self.modes.append(actual)


def replica(role, epoch=0, **values):
    known = {
        "role": role,
        "epoch": epoch,
        "running": True,
        "link_up": True,
        "progress": None,
        "error": None,
        "reasons": [],
    }
    return known | {"checkpoints": FIGURES if role == "primary" else None, "stood_still_ms": 25.0} | values


@pytest.fixture
def agents():
    return FakeAgents("a", "b", "c")


@pytest.fixture
def paired(agents):
    agents.hosts["a"].replica = replica("primary")
    agents.hosts["b"].replica = replica("secondary")
    return agents


@pytest.fixture
def say(agents, capsys, tmp_path):
    """Run a command; return its exit code, its standard output and its standard error."""
    conf = tmp_path / "colo-pair.conf"
    conf.write_text("[agent]\nheartbeat_interval = 0.2\n")  # a host counts as silent after three of them

    def run(command, *arguments):
        try:
            code = pair.main(
                ["--config-file", str(conf), command, SERVER, *arguments],
                lambda conf: agents,
                cfg.ConfigOpts(),
            )
        except SystemExit as end:  # argparse's
            code = end.code
        out, err = capsys.readouterr()
        return code, out, err

    return run


def refused(answer):
    """Return the one line of a refusal."""
    code, out, err = answer
    assert (code, out) == (1, ""), answer
    assert err.startswith("colo-pair: ") and err.count("\n") == 1, err
    return err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("status",), "--hosts"),
        (("status", "--hosts", "a,a"), "not a list of different hosts"),
        (("status", *HOSTS, "--watch", "no"), "not a number of seconds"),
        (("status", *HOSTS, "--probe", "guest"), "not HOST:PORT"),
        (("protect", "--primary", "a", "--secondary", "a"), "both a. The secondary needs another host."),
        (("protect", "--primary", "a", "--secondary", "b", "--interval-ms", "1"), "10 or more"),
        (("mode", *HOSTS, "fast"), "invalid"),
        (("failover", *HOSTS, "--force"), "with --lost only"),
    ],
)
def test_a_wrong_command_line_exits_with_2_and_names_the_mistake(say, arguments, words):
    code, out, err = say(*arguments)
    assert (code, out) == (2, "")
    assert words in err


def test_a_server_is_a_uuid(agents, capsys):
    with pytest.raises(SystemExit) as end:
        pair.main(["status", "web", *HOSTS], lambda conf: agents, cfg.ConfigOpts())
    assert end.value.code == 2
    assert "virsh domuuid" in capsys.readouterr().err


def test_protect_shows_its_progress_and_the_pause_of_the_guest(say, agents):
    assert say("protect", "--primary", "a", "--secondary", "b") == (
        0,
        "Protected: primary a, secondary b, epoch 0. The guest was paused for 25.0 ms.\n",
        "",
    )
    assert agents.done == [("a", "describe"), ("b", "prepare_secondary"), ("a", "start_replication")]
    assert say("protect", "--primary", "a", "--secondary", "b")[:2] == (
        0,
        "Protected already: primary a, secondary b.\n",
    )


def test_a_failed_protect_is_rolled_back_and_shows_its_first_error(say, agents):
    agents.hosts["b"].fails = "prepare_secondary"
    assert refused(say("protect", "--primary", "a", "--secondary", "b")) == "colo-pair: b has no capacity.\n"
    assert agents.done[-2:] == [("a", "release"), ("b", "discard")]


def test_a_failed_protect_after_a_failover_keeps_the_epoch(say, agents):
    agents.hosts["a"].replica = replica("primary", 3, link_up=None)
    agents.hosts["b"].fails = "prepare_secondary"
    refused(say("protect", "--primary", "a", "--secondary", "b"))
    assert agents.hosts["a"].replica["epoch"] == 3


def test_protect_destroys_an_orphaned_replica_and_refuses_the_guest_of_another_host(say, agents):
    agents.hosts["a"].replica = replica("primary", 0, running=False)
    agents.hosts["b"].replica = replica("primary", 1, link_up=None)
    assert "Use --primary b." in refused(say("protect", "--primary", "a", "--secondary", "b"))
    code, out, _ = say("protect", "--primary", "b", "--secondary", "a")
    assert code == 0 and "Destroying an orphaned primary replica of epoch 0 on a." in out


def test_protect_refuses_a_guest_with_a_secondary_on_another_host(say, paired):
    assert "colo-pair alone" in refused(say("protect", "--primary", "a", "--secondary", "c"))
    assert paired.done == []


@pytest.mark.parametrize(
    "arguments",
    [("protect", "--primary", "a", "--secondary", "b"), ("unprotect", *HOSTS), ("mode", *HOSTS, "colo")],
)
def test_a_silent_agent_is_named(say, paired, arguments):
    paired.hosts["b"].silent = True
    assert "The agent on b does not answer." in refused(say(*arguments))
    assert paired.done == []


def test_status_is_one_table(say, paired):
    paired.hosts["b"].replica["reasons"] = ["The link is slow."]
    code, out, err = say("status", *HOSTS)
    assert (code, err) == (0, "")
    for words in ("primary", "secondary", "1/2/0", "1/1/0", "9.0/20.0/120", "The link is slow."):
        assert words in out


def test_status_as_json(say, paired):
    paired.hosts["b"].silent = True
    code, out, _ = say("status", *HOSTS, "--json", "--probe", "127.0.0.1:1")
    shown = json.loads(out)
    assert (code, shown["primary"], shown["secondary"], shown["rtt_ms"]) == (0, "a", None, None)
    assert [row["answers"] for row in shown["hosts"]] == [True, False]
    assert shown["hosts"][0]["checkpoints"]["last_minute"] == {"mismatch": 1, "periodic": 1, "forced": 0}


def test_status_without_any_agent_is_refused(say, agents):
    for host in agents.hosts.values():
        host.silent = True
    assert "The agent on a, b does not answer." in refused(say("status", *HOSTS))


def test_a_planned_failover(say, paired):
    code, out, _ = say("failover", *HOSTS, "--json")
    assert code == 0
    where = {"primary": "b", "secondary": None, "epoch": 1}
    assert json.loads(out) == {"command": "failover", "server_id": SERVER, **where, "gap_ms": 150.0}
    assert paired.done == [("a", "demote"), ("b", "promote"), ("b", "settle"), ("a", "discard")]


def test_an_interrupted_failover_is_completed_when_it_is_repeated(say, paired):
    paired.hosts["a"].replica = replica("demoted", 1)
    assert say("failover", *HOSTS)[0] == 0
    assert paired.hosts["a"].replica is None and paired.hosts["b"].replica["epoch"] == 1


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"a": {"running": False}}, "QEMU on a does not run"),
        ({"b": {"silent": True}}, "QEMU on b is frozen, or libvirtd there does not answer"),
        ({"b": {"link_up": False}}, "link between a and b is down"),
        ({"a": {"progress": {"stage": "copying disks", "percent": 3}}}, "still being created"),
    ],
)
def test_a_planned_failover_needs_a_pair_in_sync(say, paired, broken, words):
    for name, values in broken.items():
        paired.hosts[name].replica |= values
    assert words in refused(say("failover", *HOSTS))
    assert paired.done == []


def test_a_planned_failover_from_a_silent_primary_suggests_lost(say, paired):
    paired.hosts["a"].silent = True
    line = refused(say("failover", *HOSTS))
    assert "The agent on a does not answer." in line and "--lost" in line


def test_a_failover_from_a_lost_primary_does_not_call_it_and_warns(say, paired):
    paired.hosts["a"].silent = True
    code, out, _ = say("failover", *HOSTS, "--lost")
    assert code == 0 and "You confirm that the guest on a is dead" in out
    assert paired.done == [("b", "promote"), ("b", "settle")]


def test_a_healthy_primary_is_not_lost_unless_forced(say, paired):
    assert "--force" in refused(say("failover", *HOSTS, "--lost"))
    assert say("failover", *HOSTS, "--lost", "--force")[0] == 0
    assert paired.done == [("b", "promote"), ("b", "settle")]


@pytest.mark.parametrize(
    "broken", [{"silent": True}, {"replica": None}, {"replica": replica("secondary", running=False)}]
)
def test_a_secondary_that_is_not_there_cannot_take_over(say, paired, broken):
    for name, value in broken.items():
        setattr(paired.hosts["b"], name, value)
    assert "secondary" in refused(say("failover", *HOSTS, "--lost"))
    assert paired.done == []


def test_alone_runs_the_primary_unprotected(say, paired):
    code, out, _ = say("alone", *HOSTS)
    assert code == 0 and "a runs the guest unprotected, epoch 1." in out
    assert paired.done == [("a", "run_alone"), ("b", "discard")]


def test_alone_is_refused_for_a_silent_or_dead_primary(say, paired):
    paired.hosts["a"].replica["running"] = False
    assert "--lost" in refused(say("alone", *HOSTS))
    paired.hosts["a"].silent = True
    assert "The agent on a does not answer." in refused(say("alone", *HOSTS))


def test_unprotect_and_mode(say, paired):
    assert say("mode", *HOSTS, "checkpoint", "--interval-ms", "200")[:2] == (
        0,
        "Mode is checkpoint, every 200 ms.\n",
    )
    assert paired.done == [("b", "set_mode"), ("a", "set_mode")]
    assert say("unprotect", *HOSTS)[0] == 0
    assert paired.done[2:] == [("a", "release"), ("b", "discard")]
    assert "no secondary" in refused(say("mode", *HOSTS, "colo"))


def run_until(say, agents, steps, *more):
    """Run ``run``, wait for the condition of each step and act, then stop it; return its outcome."""

    def drive():
        for condition, act in steps:
            deadline = time.monotonic() + patient(30)
            while not condition() and time.monotonic() < deadline:
                time.sleep(0.05)
            act()
        # with the default handler ``run`` has ended by itself, and the signal would end the tests
        if signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
            signal.raise_signal(signal.SIGTERM)

    driver = threading.Thread(target=drive)
    driver.start()
    outcome = say("run", "--primary", "a", "--secondary", "b", "--json", *more)
    driver.join()
    return outcome


def test_run_protects_fails_over_and_protects_again_on_the_spare(say, agents):
    hosts = agents.hosts

    def lose():
        hosts["a"].silent = True
        hosts["b"].replica |= {"link_up": False}

    steps = [
        (lambda: (hosts["a"].replica or {}).get("role") == "primary", lose),
        (lambda: (hosts["c"].replica or {}).get("role") == "secondary", lambda: None),
    ]
    code, out, err = run_until(say, agents, steps, "--spare", "c")
    events = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    named = [event["event"] for event in events]
    expected = [
        "watching",
        "protecting",
        "protected",
        "failing_over",
        "failed_over",
        "protecting",
        "protected",
        "stopped",
    ]
    assert named == expected, out
    assert (events[-1]["primary"], events[-1]["secondary"], events[-1]["epoch"]) == ("b", "c", 1)


def test_run_does_nothing_when_only_the_primarys_agent_is_silent(say, paired):
    primary = paired.hosts["a"]

    def fall_silent():
        primary.silent, primary.asked = True, 0

    # several times the polls that a host may miss
    steps = [(lambda: primary.asked >= 5, fall_silent), (lambda: primary.asked >= 20, lambda: None)]
    code, out, _ = run_until(say, paired, steps)
    assert primary.silent and primary.asked >= 20
    assert (code, paired.done) == (0, [])
    assert [json.loads(line)["event"] for line in out.splitlines()] == ["watching", "stopped"]


def test_run_does_not_take_an_agent_that_refuses_requests_for_lost(say, paired):
    primary, secondary = paired.hosts["a"], paired.hosts["b"]

    def refuse():
        primary.fails, primary.asked = "status", 0
        secondary.replica |= {"link_up": False}

    steps = [
        (lambda: primary.asked >= 5, refuse),
        # several times the polls that a host may miss
        (lambda: primary.asked >= 20, lambda: None),
    ]
    code, out, _ = run_until(say, paired, steps)
    assert primary.fails and primary.asked >= 20
    assert (code, paired.done) == (0, [])
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events] == ["watching", "failed", "stopped"]
    assert events[1]["message"] == "a has no capacity."


def test_run_fails_over_though_the_agent_of_a_spare_host_refuses_requests(say, paired):
    primary, secondary, spare = (paired.hosts[name] for name in ("a", "b", "c"))

    def refuse():
        spare.fails, spare.asked = "status", 0

    def lose():
        primary.silent = True
        secondary.replica |= {"link_up": False}

    steps = [
        (lambda: spare.asked >= 5, refuse),
        (lambda: spare.asked >= 5, lose),
        (lambda: secondary.replica["role"] == "primary", lambda: None),
    ]
    code, out, _ = run_until(say, paired, steps, "--spare", "c")
    assert (code, secondary.replica["role"]) == (0, "primary"), out


def test_run_sets_the_mode_of_a_hybrid_pair_that_its_primary_reports(say, agents):
    hosts = agents.hosts
    steps = [
        (
            lambda: (hosts["a"].replica or {}).get("role") == "primary",
            lambda: hosts["a"].replica.update(mode="checkpoint"),
        ),
        (lambda: agents.modes == ["checkpoint"] * 2, lambda: hosts["a"].replica.update(mode="colo")),
        (lambda: agents.modes == ["checkpoint"] * 2 + ["colo"] * 2, lambda: None),
    ]
    code, out, err = run_until(say, agents, steps, "--mode", "hybrid")
    assert (code, err, agents.modes) == (0, "", ["checkpoint"] * 2 + ["colo"] * 2)
    messages = [event["message"] for event in map(json.loads, out.splitlines()) if event["event"] == "mode"]
    assert messages == [
        "The pair is in mode checkpoint from now on.",
        "The pair is in mode colo from now on.",
    ]


def test_run_refuses_to_start_with_a_silent_primary(say, paired):
    paired.hosts["a"].silent = True
    assert "The agent on a does not answer." in refused(say("run", "--primary", "a", "--secondary", "b"))


def test_run_ends_when_both_qemus_ended(say, paired):
    for name in ("a", "b"):
        paired.hosts[name].replica["running"] = False
    code, _, err = say("run", "--primary", "a", "--secondary", "b", "--json")
    assert code == 1 and "both qemus" in err.lower() and err.count("\n") == 1


def test_run_ends_when_the_guest_has_powered_itself_off(say, paired):
    paired.hosts["a"].replica |= {"running": False, "shut_down": True}
    code, _, err = say("run", "--primary", "a", "--secondary", "b", "--json")
    assert code == 1 and "powered itself off" in err and err.count("\n") == 1
    assert paired.done == [("b", "discard")], "the secondary was promoted, or is left"
