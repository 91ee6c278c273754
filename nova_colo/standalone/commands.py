# SPDX-License-Identifier: Apache-2.0
"""The commands that do one thing to a pair."""

from typing import Any

from oslo_config import cfg

from nova_colo.standalone.agents import AgentPool
from nova_colo.standalone.output import Screen, milliseconds
from nova_colo.standalone.pair import PairError, StandalonePair, Standing

VOUCHED = (
    "You vouch that the guest on {host} is dead, or cut off from its clients, and has not gone on alone: nobody asks {host}. "
    "Should it answer clients all the same, there may be two of it from now on."
)


def lone(agents: AgentPool, server_id: str) -> StandalonePair:
    """Return the pair; here nothing but its uuid names a guest."""
    return StandalonePair(agents, server_id, server_id)


def protect(conf: cfg.ConfigOpts, agents: AgentPool, screen: Screen) -> None:
    """Make a secondary of a guest that runs."""
    command = conf.command
    source, target = command.primary, command.secondary
    standing = agents.look(command.server, (source, target), needed=(source, target)).standing
    pair = lone(agents, command.server)
    if standing.secondary is not None:
        if (standing.primary, standing.secondary) != (source, target):
            where = f"primary {standing.primary or 'not known'}, secondary {standing.secondary}"
            raise PairError(
                f"The guest has a secondary: {where}. Remove it with colo-pair unprotect, or give it up with alone."
            )
        _require_whole(
            standing, "Give the lost replica up with colo-pair alone or failover --lost, then protect again."
        )
        screen.result(
            f"Protected already: primary {source}, secondary {target}.", **_outcome(command, standing)
        )
        return
    if standing.primary not in (None, source):
        where = f"{standing.primary} runs the guest, in epoch {standing.epoch}, not {source}."
        raise PairError(f"{where} Say --primary {standing.primary}.")
    if has_twin(standing, source):
        raise PairError(
            f"The guest on {source} has a twin, but not on {target}. Give that up with colo-pair alone first."
        )
    make(pair, standing, screen, source, target, mode=command.mode, interval_ms=command.interval_ms)
    after = agents.look(command.server, (source, target)).standing
    stood_still_ms = after.replicas.get(source, {}).get("stood_still_ms")
    stood = "" if stood_still_ms is None else f" The guest stood still for {milliseconds(stood_still_ms)} ms."
    done = f"Protected: primary {source}, secondary {target}, epoch {after.epoch}.{stood}"
    screen.result(done, **_outcome(command, after), stood_still_ms=stood_still_ms)


def has_twin(standing: Standing, host: str) -> bool:
    """Return whether a host's replica has a twin, or waits for one that it has lost."""
    return standing.replicas.get(host, {}).get("link_up") is not None


def make(
    pair: StandalonePair, standing: Standing, screen: Screen, source: str, target: str, **values: Any
) -> None:
    """Make a secondary on a host; what the host has left of an earlier epoch is ended before."""
    pair.settle(standing)
    for host, replica in standing.replicas.items():
        if host not in (standing.primary, standing.secondary):
            screen.say(
                f"{host} has a {replica['role']} replica of epoch {replica['epoch']} left. It is ended."
            )
            pair.discard(host, replica)
    screen.follow(pair.protect(source, target, epoch=standing.epoch, **values))


def failover(conf: cfg.ConfigOpts, agents: AgentPool, screen: Screen) -> None:
    """Let the secondary take over."""
    if conf.command.lost:
        _fail_over_lost(conf.command, agents, screen)
    else:
        _fail_over_planned(conf.command, agents, screen)


def _fail_over_planned(command: Any, agents: AgentPool, screen: Screen) -> None:
    sight = agents.look(command.server, command.hosts)
    standing = sight.standing
    if standing.primary is None and standing.secondary is not None and sight.silent:
        raise PairError(
            f"The agent on {sight.silent[0]} does not answer. If its host is dead, say colo-pair failover --lost."
        )
    _require_whole(
        standing,
        "If the primary is dead, say colo-pair failover --lost; if the secondary is, colo-pair alone.",
    )
    gap_ms = lone(agents, command.server).fail_over(standing)
    _taken_over(command, screen, standing, gap_ms, f"The guest on {standing.primary} was ended.")


def _fail_over_lost(command: Any, agents: AgentPool, screen: Screen) -> None:
    sight = agents.look(command.server, command.hosts)
    standing = sight.standing
    target = standing.secondary
    if target is None:
        asked = f"{', '.join(command.hosts)} has a secondary"
        silent = f", and the agent on {', '.join(sight.silent)} does not answer" if sight.silent else ""
        raise PairError(
            f"No host of {asked} of this guest{silent}. Nothing can take over: see colo-pair status."
        )
    if not standing.replicas[target]["running"]:
        raise PairError(
            f"The secondary's QEMU on {target} does not run. Let the primary go on with colo-pair alone."
        )
    primary = standing.replicas.get(standing.primary or "")
    if primary and primary["running"] and primary["link_up"] and not command.force:
        well = f"{standing.primary} answers, its guest runs, and the link to {target} is up."
        raise PairError(f"{well} Say colo-pair failover without --lost, or --force if you know better.")
    lost = standing.primary or ", ".join(sight.silent) or "the other host"
    screen.say(VOUCHED.format(host=lost))
    gap_ms = lone(agents, command.server).take_over(standing)
    _taken_over(
        command,
        screen,
        standing,
        gap_ms,
        f"What {lost} has left is ended when the guest is protected there again.",
    )


def _taken_over(command: Any, screen: Screen, standing: Standing, gap_ms: float | None, note: str) -> None:
    gap = "" if gap_ms is None else f" Nobody ran for {milliseconds(gap_ms)} ms."
    done = f"Failed over: {standing.secondary} runs the guest alone, epoch {standing.epoch + 1}.{gap} {note}"
    after = Standing(standing.secondary, None, standing.epoch + 1, {})
    screen.result(done, **_outcome(command, after), gap_ms=gap_ms)


def alone(conf: cfg.ConfigOpts, agents: AgentPool, screen: Screen) -> None:
    """Let the primary go on without its secondary."""
    command = conf.command
    sight = agents.look(command.server, command.hosts)
    standing = sight.standing
    primary = _require_primary(sight.silent, standing)
    if not standing.replicas[primary]["running"]:
        raise PairError(
            f"The guest on {primary} does not run. Let its secondary take over with colo-pair failover --lost."
        )
    pair = lone(agents, command.server)
    if sight.silent:
        screen.say(
            f"You vouch that {', '.join(sight.silent)} was not told to take over: its agent does not answer."
        )
    pair.go_on_alone(standing)
    for host, replica in standing.replicas.items():
        if host != primary:
            pair.discard(host, replica)
    done = f"{primary} runs the guest alone, epoch {standing.epoch + 1}. It has no secondary: colo-pair protect makes one."
    screen.result(done, **_outcome(command, Standing(primary, None, standing.epoch + 1, {})))


def unprotect(conf: cfg.ConfigOpts, agents: AgentPool, screen: Screen) -> None:
    """Remove the secondary."""
    command = conf.command
    sight = agents.look(command.server, command.hosts, needed=command.hosts)
    primary = _require_primary(sight.silent, sight.standing)
    lone(agents, command.server).unprotect(sight.standing)
    done = f"Unprotected: the guest runs on {primary}, as if it had never had a secondary."
    screen.result(done, **_outcome(command, Standing(primary, None, 0, {})))


def mode(conf: cfg.ConfigOpts, agents: AgentPool, screen: Screen) -> None:
    """Change how a pair synchronises."""
    command = conf.command
    standing = agents.look(command.server, command.hosts, needed=command.hosts).standing
    _require_whole(standing, "See colo-pair status.")
    lone(agents, command.server).set_mode(standing, command.mode, command.interval_ms)
    paced = f", every {command.interval_ms} ms" if command.interval_ms else ""
    fields = {"mode": command.mode.value, "interval_ms": command.interval_ms}
    screen.result(f"Mode is {command.mode}{paced}.", **_outcome(command, standing), **fields)


def _require_primary(silent: tuple[str, ...], standing: Standing) -> str:
    if standing.primary is None or standing.primary not in standing.replicas:
        missing = f" The agent on {', '.join(silent)} does not answer." if silent else ""
        raise PairError(
            f"None of these hosts has a primary of this guest.{missing} Make a pair with colo-pair protect."
        )
    return standing.primary


def _require_whole(standing: Standing, remedy: str) -> None:
    """Refuse a pair that is not there on both replicas, in step."""
    if standing.primary is None or standing.secondary is None:
        raise PairError(
            "The guest has no secondary on these hosts. Make one with colo-pair protect, or see colo-pair status."
        )
    for host in (standing.primary, standing.secondary):
        replica = standing.replicas[host]
        if not replica["running"]:
            raise PairError(f"The QEMU on {host} does not run. {remedy}")
        if replica["progress"]:
            raise PairError(
                f"The secondary on {standing.secondary} is still being made. See colo-pair status, and try again."
            )
        if replica["link_up"] is False:
            raise PairError(f"The link between {standing.primary} and {standing.secondary} is down. {remedy}")


def _outcome(command: Any, standing: Standing) -> dict[str, Any]:
    """Return how a pair is after a command."""
    where = {"primary": standing.primary, "secondary": standing.secondary, "epoch": standing.epoch}
    return {"command": command.name, "server_id": command.server, **where}
