# SPDX-License-Identifier: Apache-2.0
"""colo-pair run: watches one pair and gives its grants, as an engine does.

What the pair is is known here, in memory, and what its hosts are is asked of their agents. There must be one such process for a
pair, since nothing but its memory keeps it from giving the same grant to both replicas.
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

from nova_colo.engine.host_tracker import replica_of
from nova_colo.pair import arbitration
from nova_colo.pair.arbitration import Action, Observation
from nova_colo.pair.model import Mode, Pair, State, actual_mode
from nova_colo.standalone import commands
from nova_colo.standalone.agents import AgentPool, SilentError
from nova_colo.standalone.observation import INTERVAL_S, Sights
from nova_colo.standalone.output import Screen, milliseconds
from nova_colo.standalone.pair import PairError, Standing, standing_of

#: Seconds before a host is tried again on which no secondary could be made; doubled at each further failure.
RETRY_S, RETRY_MOST_S = 10.0, 160.0


class StoppedError(PairError):
    """It is not to go on watching, though nobody has said so."""


def run(conf: cfg.ConfigOpts, agents: AgentPool, screen: Screen) -> None:
    """Protect a guest, watch it, and act, until SIGINT or SIGTERM."""
    stop = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    keeper = Supervisor(conf, agents, screen, stop)
    try:
        keeper.begin()
        keeper.watch()
    finally:
        keeper.close()
        for number, handler in before.items():
            signal.signal(number, handler)


class Supervisor:
    """Keeps one pair a pair."""

    def __init__(self, conf: cfg.ConfigOpts, agents: AgentPool, screen: Screen, stop: threading.Event):
        command = conf.command
        self._id = command.server
        self._wanted = {"mode": command.mode, "interval_ms": command.interval_ms}
        self._hosts = list(dict.fromkeys([command.primary, command.secondary, *command.spare]))
        self._first = command.primary
        self._agents = agents
        self._screen = screen
        self._stop = stop
        self._lone = commands.lone(agents, self._id)
        self._sights = Sights(
            agents, self._id, self._hosts, conf.agent.heartbeat_interval * conf.agent.missed_heartbeats
        )
        self._refused: dict[str, tuple[float, float]] = {}
        self._said: str = ""
        self._mode: str | None = None  # that of a pair under the policy hybrid; None when it is not known
        self._show: Callable[[str], Any] = lambda text: None
        self._totals: dict[str, int] | None = None
        self.pair = Pair(self._id, State.UNPROTECTED, 0, self._first, None, self._first, "ACTIVE")

    def begin(self) -> None:
        """Learn how the pair is.

        :raises PairError: when that cannot be known: a primary that is silent may have gone on alone
        """
        sight = self._agents.look(self._id, self._hosts)
        standing = sight.standing
        primary = standing.primary or self._first
        if primary in sight.silent:
            raise SilentError(primary)
        if standing.primary is None and standing.secondary is not None:
            where = (
                f"{standing.secondary} has a secondary, but none of {', '.join(self._hosts)} has its primary."
            )
            raise PairError(
                f"{where} Decide yourself, with colo-pair failover --lost, then start this again."
            )
        if standing.secondary is None and commands.has_twin(standing, primary):
            silent = [host for host in self._hosts if host in sight.silent]
            if not silent:
                problem = f"The guest on {primary} has a twin, but on none of {', '.join(self._hosts)}."
                raise PairError(f"{problem} Name its host, or give it up with colo-pair alone.")
            standing = dataclasses.replace(standing, secondary=silent[0])
        self._adopt(primary, standing)
        twin = f"secondary {standing.secondary}" if standing.secondary else "no secondary yet"
        alone = "No other colo-pair run may watch it."
        self.tell("watching", f"Watching: primary {primary}, {twin}, epoch {standing.epoch}. {alone}")

    def _adopt(self, primary: str, standing: Standing) -> None:
        self._lone.settle(standing)
        self._mode = None
        state = (
            State.PROTECTED
            if standing.secondary
            else State.DEGRADED
            if standing.primary
            else State.UNPROTECTED
        )
        self._set(primary, standing.secondary, standing.epoch, state)

    def _set(self, primary: str, secondary: str | None, epoch: int, state: State) -> None:
        self.pair = dataclasses.replace(
            self.pair,
            state=state,
            epoch=epoch,
            primary_host=primary,
            nova_host=primary,
            secondary_host=secondary,
        )
        self._sights.renew()

    def watch(self) -> None:
        """Look at the pair, and act, until told to stop.

        :raises StoppedError: when there is no pair left to be watched
        """
        self._sights.start()
        with self._live():
            while not self._stop.wait(INTERVAL_S):
                if self._sights.complete():
                    self._look()
                self._show(self._summary())
        pair = self.pair
        twin = f"secondary {pair.secondary_host}" if pair.secondary_host else "no secondary"
        left = f"The pair is left as it is: primary {pair.primary_host}, {twin}, epoch {pair.epoch}."
        self.tell("stopped", f"Stopped watching. {left} Nobody acts when a replica is lost from now on.")

    def close(self) -> None:
        """Ask no more."""
        self._sights.stop()

    # --- one look

    def _look(self) -> None:
        replicas = {
            host: replica for host in self._hosts if (replica := self._sights.replica(host)) is not None
        }
        standing = standing_of(replicas)
        if standing.epoch > self.pair.epoch:
            self._follow(standing)
            return
        self._note_totals(replicas)
        decision = arbitration.decide(self.pair, *self._observations())
        reason = str(decision.reason or "")
        try:
            self._act(decision.action, reason)
        except StoppedError:
            raise
        except PairError as error:
            self.tell("failed", f"{decision.action.replace('_', ' ')} has failed: {error}", once=True)
            self._sights.renew()

    def _observations(self) -> tuple[Observation, Observation]:
        secondary = self.pair.secondary_host
        return self._sights.observation(self.pair.primary_host), self._sights.observation(
            secondary
        ) if secondary else arbitration.GONE

    def _act(self, action: Action, reason: str) -> None:
        match action:
            case Action.FAILOVER:
                self._take_over(reason)
            case Action.RUN_ALONE:
                self._go_on_alone(reason)
            case Action.UNPROTECT:
                self._give_up(reason)
            case Action.RESTART:
                self.tell("ended", f"{_sentence(reason)} Start it there again.", once=True)
            case Action.LOST:
                raise StoppedError(
                    f"{_sentence(reason)} Nothing is left that could run on: start the guest, and protect it."
                )
            case Action.PROTECT:
                self._protect()
            case _:
                self._discard_stale()
                self._change_mode()

    def _take_over(self, reason: str) -> None:
        pair = self.pair
        target = pair.secondary_host or ""
        self.tell("failing_over", f"{_sentence(reason)} {target} takes over.")
        gap_ms = self._lone.take_over(Standing(pair.primary_host, target, pair.epoch, {}))
        self._set(target, None, pair.epoch + 1, State.DEGRADED)
        self._try_last(pair.primary_host)
        gap = "" if gap_ms is None else f" Nobody ran for {milliseconds(gap_ms)} ms."
        self.tell(
            "failed_over", f"{target} runs the guest alone, epoch {self.pair.epoch}.{gap}", gap_ms=gap_ms
        )

    def _go_on_alone(self, reason: str) -> None:
        pair = self.pair
        self.tell("going_on_alone", f"{_sentence(reason)} {pair.primary_host} goes on alone.")
        self._lone.go_on_alone(Standing(pair.primary_host, None, pair.epoch, {}))
        self._set(pair.primary_host, None, pair.epoch + 1, State.DEGRADED)
        self._try_last(pair.secondary_host)
        self.tell("alone", f"{pair.primary_host} runs the guest alone, epoch {self.pair.epoch}.")

    def _try_last(self, host: str | None) -> None:
        """Prefer other hosts to one that has just lost its replica."""
        self._hosts.sort(key=lambda other: other == host)

    def _give_up(self, reason: str) -> None:
        """Remove a secondary whose primary is not its primary any more."""
        pair = self.pair
        secondary = pair.secondary_host or ""
        if self._sights.replica(secondary) is None:
            raise StoppedError("Somebody else has unprotected the guest. Start this again to protect it.")
        self.tell("unprotecting", f"{_sentence(reason)}")
        self._agents.call(secondary, "discard", server_id=self._id)
        self._set(pair.primary_host, None, pair.epoch, State.DEGRADED)

    def _change_mode(self) -> None:
        """Let a pair under the policy hybrid go to the mode that it should be in, as its primary's agent has found."""
        pair = self.pair
        wished = (self._sights.replica(pair.primary_host) or {}).get("mode")
        if pair.state != State.PROTECTED or wished in (None, self._mode):
            return
        standing = Standing(pair.primary_host, pair.secondary_host, pair.epoch, {})
        self._lone.set_mode(standing, Mode.HYBRID.value, self._wanted["interval_ms"], wished)
        self._mode = wished
        self.tell("mode", f"The pair is in mode {wished} from now on.")

    def _follow(self, standing: Standing) -> None:
        """Take notice of what somebody else has done to the pair."""
        if standing.primary is None:
            return
        self._adopt(standing.primary, standing)
        self.tell("followed", f"Somebody else has acted: primary {standing.primary}, epoch {standing.epoch}.")

    def _discard_stale(self) -> bool:
        """End what hosts have that are back; tell whether there was something."""
        found = False
        for host in self._hosts:
            replica = self._sights.replica(host)
            if replica is not None and arbitration.is_stale(self.pair, host, replica_of(replica)):
                found = True
                self.tell(
                    "discarding",
                    f"{host} has a {replica['role']} replica of epoch {replica['epoch']} left. It is ended.",
                )
                self._lone.discard(host, replica)
        if found:
            self._sights.renew()
        return found

    # --- a new secondary

    def _protect(self) -> None:
        target = None if self._discard_stale() else self._target()
        if target is None:
            return
        source = self.pair.primary_host
        self.tell("protecting", f"Making a secondary of {source} on {target}.")
        making = self._lone.protect(
            source, target, epoch=self.pair.epoch, totals=self._totals, **self._wanted
        )
        try:
            for progress in making:
                self._show(f"{progress['stage']}, {progress['percent']} %")
                if self._stop.is_set():
                    making.close()  # a secondary that is not there yet is not made
                    return
        except PairError as error:
            if self.pair.state == State.UNPROTECTED and self._hosts[-1] == target:
                raise StoppedError(str(error)) from error
            wait = min(2 * self._refused.get(target, (0.0, RETRY_S / 2))[1], RETRY_MOST_S)
            self._refused[target] = (time.monotonic() + wait, wait)
            self._sights.renew()
            self.tell(
                "not_protected", f"No secondary on {target}: {error} Tried there again in {wait:.0f} s."
            )
            return
        self._refused.pop(target, None)
        self._mode = actual_mode(self._wanted["mode"]).value
        self._set(source, target, self.pair.epoch, State.PROTECTED)
        self.tell("protected", f"Protected: primary {source}, secondary {target}, epoch {self.pair.epoch}.")

    def _target(self) -> str | None:
        """Return the first host that answers, has nothing of the guest, and has not just failed."""
        now = time.monotonic()
        for host in self._hosts:
            free = self._sights.observation(host).alive and self._sights.replica(host) is None
            if host != self.pair.primary_host and free and self._refused.get(host, (0.0, 0.0))[0] <= now:
                return host
        return None

    def _note_totals(self, replicas: dict[str, dict[str, Any]]) -> None:
        figures = replicas.get(self.pair.primary_host, {}).get("checkpoints")
        if figures:
            self._totals = {cause: figures[cause] for cause in ("mismatch", "periodic", "forced")}

    # --- what is said

    def tell(self, event: str, text: str, once: bool = False, **fields: Any) -> None:
        """Say what has happened, in one line.

        :param once: not when it was the last that was said
        """
        if once and text == self._said:
            return
        self._said = text
        at = datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")
        where = {
            "primary": self.pair.primary_host,
            "secondary": self.pair.secondary_host,
            "epoch": self.pair.epoch,
        }
        self._screen.result(f"{at} {text}", at=at, event=event, message=text, **where, **fields)

    @contextlib.contextmanager
    def _live(self) -> Iterator[None]:
        """Have a line that is rewritten, where somebody sees it."""
        if self._screen.live:
            with self._screen.console.status("looking") as line:
                self._show = line.update
                yield
        else:
            yield

    def _summary(self) -> str:
        pair = self.pair
        parts = []
        for host in self._hosts:
            role = {pair.primary_host: "primary ", pair.secondary_host: "secondary "}.get(host, "")
            alive = self._sights.observation(host).alive
            parts.append(f"{role}{host}{'' if alive else ' (silent)'}")
        replica = self._sights.replica(pair.primary_host) or {}
        count = (replica.get("checkpoints") or {}).get("total")
        counted = "" if count is None else f", {count} checkpoints"
        return f"epoch {pair.epoch}: {', '.join(parts)}{counted}"


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:]}".rstrip(".") + "."
