# SPDX-License-Identifier: Apache-2.0
"""colo-pair run: supervise one pair and give its grants, as an engine does.

The state of the pair is kept in memory, and the agents are polled for that of its hosts. There must be one
such process for a pair, since nothing but its memory keeps it from giving the same grant to both replicas.
"""

import contextlib
import dataclasses
import datetime
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from oslo_config import cfg

from nova_colo.agent.rpcapi import ReplicaReport
from nova_colo.engine.host_tracker import replica_of
from nova_colo.pair import arbitration
from nova_colo.pair.arbitration import Action, Observation
from nova_colo.pair.model import Mode, Pair, State, actual_mode
from nova_colo.standalone import commands
from nova_colo.standalone.agents import AgentPool, SilentError
from nova_colo.standalone.observation import INTERVAL_S, Observations
from nova_colo.standalone.output import Output, milliseconds
from nova_colo.standalone.pair import PairError, PairObservation, observation_of

#: First and longest delay, in seconds, before a host on which no secondary could be created is tried again.
#: It doubles with each further failure.
RETRY_S, RETRY_MOST_S = 10.0, 160.0


class StoppedError(PairError):
    """Supervision ends by itself, without a signal; the message has the cause."""


def run(conf: cfg.ConfigOpts, agents: AgentPool, output: Output) -> None:
    """Protect a guest and supervise its pair until SIGINT or SIGTERM."""
    stop = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    supervisor = Supervisor(conf, agents, output, stop)
    try:
        supervisor.begin()
        supervisor.watch()
    finally:
        supervisor.close()
        for number, handler in before.items():
            signal.signal(number, handler)


class Supervisor:
    """Keep one guest protected."""

    def __init__(self, conf: cfg.ConfigOpts, agents: AgentPool, output: Output, stop: threading.Event):
        command = conf.command
        self._id = command.server
        self._checkpoint_params = {"mode": command.mode, "interval_ms": command.interval_ms}
        self._hosts = list(dict.fromkeys([command.primary, command.secondary, *command.spare]))
        self._configured_primary = command.primary
        self._agents = agents
        self._output = output
        self._stop = stop
        self._standalone = commands.standalone_pair(agents, self._id)
        self._observations = Observations(
            agents, self._id, self._hosts, conf.agent.heartbeat_interval * conf.agent.missed_heartbeats
        )
        self._backoff: dict[str, tuple[float, float]] = {}
        self._last_message: str = ""
        self._mode: str | None = None  # current mode under the policy hybrid; None when it is not known
        self._update_status_line: Callable[[str], Any] = lambda text: None
        self._totals: dict[str, int] | None = None
        self.pair = Pair(
            self._id, State.UNPROTECTED, 0, self._configured_primary, None, self._configured_primary, "ACTIVE"
        )

    def begin(self) -> None:
        """Read the state of the pair from its agents.

        :raises PairError: when it cannot be determined: a primary that is silent may run unprotected
        """
        polled = self._agents.poll(self._id, self._hosts)
        observed = polled.observed
        primary = observed.primary or self._configured_primary
        if primary in polled.silent:
            raise SilentError(primary)
        if observed.primary is None and observed.secondary is not None:
            where = (
                f"{observed.secondary} has a secondary, but none of {', '.join(self._hosts)} has its primary."
            )
            raise PairError(f"{where} Decide with colo-pair failover --lost, then start colo-pair run again.")
        if observed.secondary is None and commands.has_peer(observed, primary):
            silent = [host for host in self._hosts if host in polled.silent]
            if not silent:
                problem = f"The guest on {primary} has a secondary, but on none of {', '.join(self._hosts)}."
                raise PairError(f"{problem} Add its host, or give it up with colo-pair alone.")
            observed = dataclasses.replace(observed, secondary=silent[0])
        self._adopt(primary, observed)
        secondary = f"secondary {observed.secondary}" if observed.secondary else "no secondary yet"
        warning = "No other colo-pair run may watch it."
        self.emit("watching", f"Watching: primary {primary}, {secondary}, epoch {observed.epoch}. {warning}")

    def _adopt(self, primary: str, observed: PairObservation) -> None:
        self._standalone.finalize(observed)
        self._mode = None
        state = (
            State.PROTECTED
            if observed.secondary
            else State.DEGRADED
            if observed.primary
            else State.UNPROTECTED
        )
        self._set(primary, observed.secondary, observed.epoch, state)

    def _set(self, primary: str, secondary: str | None, epoch: int, state: State) -> None:
        self.pair = dataclasses.replace(
            self.pair,
            state=state,
            epoch=epoch,
            primary_host=primary,
            nova_host=primary,
            secondary_host=secondary,
        )
        self._observations.reset()

    def watch(self) -> None:
        """Reconcile the pair periodically until the stop event is set.

        :raises StoppedError: when no pair is left to supervise
        """
        self._observations.start()
        with self._status_line():
            while not self._stop.wait(INTERVAL_S):
                hosts = (self.pair.primary_host, self.pair.secondary_host)
                if self._observations.complete(*hosts):
                    self._reconcile()
                elif failures := self._observations.failures(*hosts):
                    self.emit("failed", " ".join(failures), once=True)
                self._update_status_line(self._summary())
        pair = self.pair
        secondary = f"secondary {pair.secondary_host}" if pair.secondary_host else "no secondary"
        left = f"The pair is left as it is: primary {pair.primary_host}, {secondary}, epoch {pair.epoch}."
        self.emit("stopped", f"Stopped watching. {left} From now on the loss of a replica is not handled.")

    def close(self) -> None:
        """Stop polling."""
        self._observations.stop()

    # --- reconciliation

    def _reconcile(self) -> None:
        replicas = {
            host: replica for host in self._hosts if (replica := self._observations.replica(host)) is not None
        }
        observed = observation_of(replicas)
        if observed.epoch > self.pair.epoch:
            self._adopt_external_change(observed)
            return
        self._record_totals(replicas)
        decision = arbitration.decide(self.pair, *self._host_observations())
        reason = str(decision.reason or "")
        try:
            self._act(decision.action, reason)
        except StoppedError:
            raise
        except PairError as error:
            self.emit("failed", f"{decision.action.replace('_', ' ')} failed: {error}", once=True)
            self._observations.reset()

    def _host_observations(self) -> tuple[Observation, Observation]:
        secondary = self.pair.secondary_host
        return self._observations.observation(self.pair.primary_host), self._observations.observation(
            secondary
        ) if secondary else arbitration.GONE

    def _act(self, action: Action, reason: str) -> None:
        match action:
            case Action.FAILOVER:
                self._take_over(reason)
            case Action.RUN_UNPROTECTED:
                self._run_unprotected(reason)
            case Action.UNPROTECT:
                self._unprotect(reason)
            case Action.RESTART:
                self.emit("ended", f"{_sentence(reason)} Start it there again.", once=True)
            case Action.POWER_OFF:
                if self.pair.secondary_host is not None:
                    self._unprotect(reason)
                raise StoppedError(f"{_sentence(reason)} Start it, and protect it again.")
            case Action.LOST:
                raise StoppedError(
                    f"{_sentence(reason)} No replica is left to run: start the guest, and protect it."
                )
            case Action.PROTECT:
                self._protect()
            case _:
                self._destroy_orphans()
                self._change_mode()

    def _take_over(self, reason: str) -> None:
        pair = self.pair
        target = pair.secondary_host or ""
        self.emit("failing_over", f"{_sentence(reason)} {target} takes over.")
        gap_ms = self._standalone.take_over(PairObservation(pair.primary_host, target, pair.epoch, {}))
        self._set(target, None, pair.epoch + 1, State.DEGRADED)
        self._deprioritize(pair.primary_host)
        gap = "" if gap_ms is None else f" Downtime: {milliseconds(gap_ms)} ms."
        self.emit(
            "failed_over",
            f"{target} runs the guest unprotected, epoch {self.pair.epoch}.{gap}",
            gap_ms=gap_ms,
        )

    def _run_unprotected(self, reason: str) -> None:
        pair = self.pair
        self.emit("going_on_alone", f"{_sentence(reason)} {pair.primary_host} runs on unprotected.")
        self._standalone.run_unprotected(PairObservation(pair.primary_host, None, pair.epoch, {}))
        self._set(pair.primary_host, None, pair.epoch + 1, State.DEGRADED)
        self._deprioritize(pair.secondary_host)
        self.emit("alone", f"{pair.primary_host} runs the guest unprotected, epoch {self.pair.epoch}.")

    def _deprioritize(self, host: str | None) -> None:
        """Prefer other hosts for the next secondary to one that has just lost its replica."""
        self._hosts.sort(key=lambda other: other == host)

    def _unprotect(self, reason: str) -> None:
        """Destroy a secondary whose primary has left the pair."""
        pair = self.pair
        secondary = pair.secondary_host or ""
        replica = self._observations.replica(secondary)
        if replica is None:
            raise StoppedError(
                "Another program unprotected the guest. Start colo-pair run again to protect it."
            )
        self.emit("unprotecting", _sentence(reason))
        self._standalone.destroy_replica(secondary, replica)
        self._set(pair.primary_host, None, pair.epoch, State.DEGRADED)

    def _change_mode(self) -> None:
        """Set the mode of a pair under the policy hybrid to the one that its primary's agent reports."""
        pair = self.pair
        replica = self._observations.replica(pair.primary_host)
        wished = replica.get("mode") if replica else None
        if pair.state != State.PROTECTED or wished in (None, self._mode):
            return
        observed = PairObservation(pair.primary_host, pair.secondary_host, pair.epoch, {})
        self._standalone.set_mode(observed, Mode.HYBRID.value, self._checkpoint_params["interval_ms"], wished)
        self._mode = wished
        self.emit("mode", f"The pair is in mode {wished} from now on.")

    def _adopt_external_change(self, observed: PairObservation) -> None:
        """Adopt a state of the pair that another program has brought about."""
        if observed.primary is None:
            return
        self._adopt(observed.primary, observed)
        self.emit(
            "followed",
            f"Another program changed the pair: primary {observed.primary}, epoch {observed.epoch}.",
        )

    def _destroy_orphans(self) -> bool:
        """Destroy orphaned replicas of hosts that are back; return whether there were any."""
        destroyed = False
        for host in self._hosts:
            replica = self._observations.replica(host)
            if replica is not None and arbitration.is_orphaned(self.pair, host, replica_of(replica)):
                destroyed = True
                self.emit(
                    "discarding",
                    commands.destroying_message(host, replica),
                )
                self._standalone.destroy_replica(host, replica)
        if destroyed:
            self._observations.reset()
        return destroyed

    # --- a new secondary

    def _protect(self) -> None:
        target = None if self._destroy_orphans() else self._target()
        if target is None:
            return
        source = self.pair.primary_host
        self.emit("protecting", f"Creating a secondary of {source} on {target}.")
        stages = self._standalone.protect(
            source, target, epoch=self.pair.epoch, totals=self._totals, **self._checkpoint_params
        )
        try:
            for progress in stages:
                self._update_status_line(f"{progress['stage']}, {progress['percent']} %")
                if self._stop.is_set():
                    stages.close()  # rolls the protect back
                    return
        except PairError as error:
            if self.pair.state == State.UNPROTECTED and self._hosts[-1] == target:
                raise StoppedError(str(error)) from error
            wait = min(2 * self._backoff.get(target, (0.0, RETRY_S / 2))[1], RETRY_MOST_S)
            self._backoff[target] = (time.monotonic() + wait, wait)
            self._observations.reset()
            self.emit("not_protected", f"No secondary on {target}: {error} Retrying there in {wait:.0f} s.")
            return
        self._backoff.pop(target, None)
        self._mode = actual_mode(self._checkpoint_params["mode"]).value
        self._set(source, target, self.pair.epoch, State.PROTECTED)
        self.emit("protected", f"Protected: primary {source}, secondary {target}, epoch {self.pair.epoch}.")

    def _target(self) -> str | None:
        """Return the first host that answers, has no replica of the guest, and has not just failed."""
        now = time.monotonic()
        for host in self._hosts:
            free = self._observations.observation(host).alive and self._observations.replica(host) is None
            if host != self.pair.primary_host and free and self._backoff.get(host, (0.0, 0.0))[0] <= now:
                return host
        return None

    def _record_totals(self, replicas: dict[str, ReplicaReport]) -> None:
        replica = replicas.get(self.pair.primary_host)
        if replica and (figures := replica["checkpoints"]):
            self._totals = {cause: figures[cause] for cause in ("mismatch", "periodic", "forced")}

    # --- output

    def emit(self, event: str, text: str, once: bool = False, **fields: Any) -> None:
        """Print one event.

        :param once: do not repeat the last message
        """
        if once and text == self._last_message:
            return
        self._last_message = text
        at = datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")
        where = {
            "primary": self.pair.primary_host,
            "secondary": self.pair.secondary_host,
            "epoch": self.pair.epoch,
        }
        self._output.result(f"{at} {text}", at=at, event=event, message=text, **where, **fields)

    @contextlib.contextmanager
    def _status_line(self) -> Iterator[None]:
        """Show a status line on a terminal."""
        if self._output.live:
            with self._output.console.status("polling") as line:
                self._update_status_line = line.update
                yield
        else:
            yield

    def _summary(self) -> str:
        pair = self.pair
        parts = []
        for host in self._hosts:
            role = {pair.primary_host: "primary ", pair.secondary_host: "secondary "}.get(host, "")
            alive = self._observations.observation(host).alive
            parts.append(f"{role}{host}{'' if alive else ' (silent)'}")
        replica = self._observations.replica(pair.primary_host)
        count = (replica["checkpoints"] or {}).get("total") if replica else None
        counted = "" if count is None else f", {count} checkpoints"
        return f"epoch {pair.epoch}: {', '.join(parts)}{counted}"


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:]}".rstrip(".") + "."
