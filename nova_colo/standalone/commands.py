# SPDX-License-Identifier: Apache-2.0
"""The commands of colo-pair that perform one operation on a pair."""

from collections.abc import Mapping
from typing import Any

from oslo_config import cfg

from nova_colo.standalone.agents import AgentPool
from nova_colo.standalone.output import Output, milliseconds
from nova_colo.standalone.pair import PairError, PairObservation, StandalonePair

LOST_WARNING = (
    "You confirm that the guest on {host} is dead, or cut off from its clients, and does not run "
    "unprotected: {host} is not asked. If the guest there still answers clients, "
    "two copies of it run from now on."
)


def standalone_pair(agents: AgentPool, server_id: str) -> StandalonePair:
    """Return the pair; without Nova the UUID is also the name of the guest."""
    return StandalonePair(agents, server_id, server_id)


def protect(conf: cfg.ConfigOpts, agents: AgentPool, output: Output) -> None:
    """Create a secondary for a running guest."""
    command = conf.command
    source, target = command.primary, command.secondary
    observed = agents.poll(command.server, (source, target), needed=(source, target)).observed
    pair = standalone_pair(agents, command.server)
    if observed.secondary is not None:
        if (observed.primary, observed.secondary) != (source, target):
            where = f"primary {observed.primary or 'not known'}, secondary {observed.secondary}"
            raise PairError(
                f"The guest already has a secondary: {where}. "
                "Remove it with colo-pair unprotect or, if it is lost, with colo-pair alone."
            )
        _require_in_sync(
            observed, "Give up the lost replica with colo-pair alone or failover --lost, then protect again."
        )
        output.result(
            f"Protected already: primary {source}, secondary {target}.", **_outcome(command, observed)
        )
        return
    if observed.primary not in (None, source):
        where = f"{observed.primary} runs the guest, in epoch {observed.epoch}, not {source}."
        raise PairError(f"{where} Use --primary {observed.primary}.")
    if has_peer(observed, source):
        raise PairError(
            f"The guest on {source} has a secondary, but not on {target}. "
            "Give it up with colo-pair alone first."
        )
    create_secondary(
        pair, observed, output, source, target, mode=command.mode, interval_ms=command.interval_ms
    )
    after = agents.poll(command.server, (source, target)).observed
    primary = after.replicas.get(source)
    pause_ms = primary.get("stood_still_ms") if primary else None
    pause = "" if pause_ms is None else f" The guest was paused for {milliseconds(pause_ms)} ms."
    done = f"Protected: primary {source}, secondary {target}, epoch {after.epoch}.{pause}"
    output.result(done, **_outcome(command, after), stood_still_ms=pause_ms)


def has_peer(observed: PairObservation, host: str) -> bool:
    """Return whether a host's replica has a peer, or waits for one that it has lost."""
    replica = observed.replicas.get(host)
    return replica is not None and replica["link_up"] is not None


def destroying_message(host: str, replica: Mapping[str, Any]) -> str:
    """Return the message that announces the destruction of an orphaned replica."""
    return f"Destroying an orphaned {replica['role']} replica of epoch {replica['epoch']} on {host}."


def create_secondary(
    pair: StandalonePair, observed: PairObservation, output: Output, source: str, target: str, **values: Any
) -> None:
    """Create a secondary on a host, after replicas of an earlier epoch have been destroyed."""
    pair.finalize(observed)
    for host, replica in observed.replicas.items():
        if host not in (observed.primary, observed.secondary):
            output.message(destroying_message(host, replica))
            pair.destroy_replica(host, replica)
    output.show_progress(pair.protect(source, target, epoch=observed.epoch, **values))


def failover(conf: cfg.ConfigOpts, agents: AgentPool, output: Output) -> None:
    """Fail over to the secondary."""
    if conf.command.lost:
        _fail_over_lost(conf.command, agents, output)
    else:
        _fail_over_planned(conf.command, agents, output)


def _fail_over_planned(command: Any, agents: AgentPool, output: Output) -> None:
    polled = agents.poll(command.server, command.hosts)
    observed = polled.observed
    if observed.primary is None and observed.secondary is not None and polled.silent:
        raise PairError(
            f"The agent on {polled.silent[0]} does not answer. "
            "If its host is dead, use colo-pair failover --lost."
        )
    _require_in_sync(
        observed,
        "If the primary is dead, use colo-pair failover --lost; if the secondary is, colo-pair alone.",
    )
    gap_ms = standalone_pair(agents, command.server).fail_over(observed)
    _report_failover(command, output, observed, gap_ms, f"The guest on {observed.primary} was destroyed.")


def _fail_over_lost(command: Any, agents: AgentPool, output: Output) -> None:
    polled = agents.poll(command.server, command.hosts)
    observed = polled.observed
    target = observed.secondary
    if target is None:
        hosts = ", ".join(command.hosts)
        silent = f", and the agent on {', '.join(polled.silent)} does not answer" if polled.silent else ""
        raise PairError(
            f"No host of {hosts} has a secondary of this guest{silent}. "
            "No failover is possible: see colo-pair status."
        )
    if not observed.replicas[target]["running"]:
        raise PairError(
            f"The secondary's QEMU on {target} does not run. "
            "Run the primary unprotected with colo-pair alone."
        )
    primary = observed.replicas.get(observed.primary or "")
    if primary and primary["running"] and primary["link_up"] and not command.force:
        healthy = f"{observed.primary} answers, its guest runs, and the link to {target} is up."
        raise PairError(f"{healthy} Use colo-pair failover without --lost, or add --force.")
    lost = observed.primary or ", ".join(polled.silent) or "the other host"
    output.message(LOST_WARNING.format(host=lost))
    gap_ms = standalone_pair(agents, command.server).take_over(observed)
    _report_failover(
        command,
        output,
        observed,
        gap_ms,
        f"A replica left on {lost} is destroyed when the guest is protected there again.",
    )


def _report_failover(
    command: Any, output: Output, observed: PairObservation, gap_ms: float | None, note: str
) -> None:
    gap = "" if gap_ms is None else f" Downtime: {milliseconds(gap_ms)} ms."
    epoch = observed.epoch + 1
    done = f"Failed over: {observed.secondary} runs the guest unprotected, epoch {epoch}.{gap} {note}"
    after = PairObservation(observed.secondary, None, epoch, {})
    output.result(done, **_outcome(command, after), gap_ms=gap_ms)


def alone(conf: cfg.ConfigOpts, agents: AgentPool, output: Output) -> None:
    """Run the primary unprotected, without its secondary."""
    command = conf.command
    polled = agents.poll(command.server, command.hosts)
    observed = polled.observed
    primary = _require_primary(polled.silent, observed)
    if not observed.replicas[primary]["running"]:
        raise PairError(
            f"The guest on {primary} does not run. Fail over to its secondary with colo-pair failover --lost."
        )
    pair = standalone_pair(agents, command.server)
    if polled.silent:
        output.message(
            f"You confirm that {', '.join(polled.silent)} was not told to take over: "
            "its agent does not answer."
        )
    pair.run_unprotected(observed)
    for host, replica in observed.replicas.items():
        if host != primary:
            pair.destroy_replica(host, replica)
    state = f"{primary} runs the guest unprotected, epoch {observed.epoch + 1}."
    done = f"{state} Create a secondary with colo-pair protect."
    output.result(done, **_outcome(command, PairObservation(primary, None, observed.epoch + 1, {})))


def unprotect(conf: cfg.ConfigOpts, agents: AgentPool, output: Output) -> None:
    """Remove the secondary."""
    command = conf.command
    polled = agents.poll(command.server, command.hosts, needed=command.hosts)
    primary = _require_primary(polled.silent, polled.observed)
    standalone_pair(agents, command.server).unprotect(polled.observed)
    done = f"Unprotected: the guest runs on {primary} without a secondary."
    output.result(done, **_outcome(command, PairObservation(primary, None, 0, {})))


def mode(conf: cfg.ConfigOpts, agents: AgentPool, output: Output) -> None:
    """Set the checkpoint mode of a pair."""
    command = conf.command
    observed = agents.poll(command.server, command.hosts, needed=command.hosts).observed
    _require_in_sync(observed, "See colo-pair status.")
    standalone_pair(agents, command.server).set_mode(observed, command.mode, command.interval_ms)
    interval = f", every {command.interval_ms} ms" if command.interval_ms else ""
    fields = {"mode": command.mode.value, "interval_ms": command.interval_ms}
    output.result(f"Mode is {command.mode}{interval}.", **_outcome(command, observed), **fields)


def _require_primary(silent: tuple[str, ...], observed: PairObservation) -> str:
    if observed.primary is None or observed.primary not in observed.replicas:
        missing = f" The agent on {', '.join(silent)} does not answer." if silent else ""
        raise PairError(
            f"None of these hosts has a primary of this guest.{missing} Create a pair with colo-pair protect."
        )
    return observed.primary


def _require_in_sync(observed: PairObservation, remedy: str) -> None:
    """Refuse a pair whose replicas do not both run, in sync.

    :raises PairError: with the cause and ``remedy``
    """
    if observed.primary is None or observed.secondary is None:
        raise PairError(
            "The guest has no secondary on these hosts. "
            "Create one with colo-pair protect, or see colo-pair status."
        )
    for host in (observed.primary, observed.secondary):
        replica = observed.replicas[host]
        if replica.get("silent"):
            raise PairError(f"The QEMU on {host} is frozen, or libvirtd there does not answer. {remedy}")
        if not replica["running"]:
            raise PairError(f"The QEMU on {host} does not run. {remedy}")
        if replica["progress"]:
            raise PairError(
                f"The secondary on {observed.secondary} is still being created. "
                "See colo-pair status, and try again."
            )
        if replica["link_up"] is False:
            raise PairError(f"The link between {observed.primary} and {observed.secondary} is down. {remedy}")


def _outcome(command: Any, observed: PairObservation) -> dict[str, Any]:
    """Return the fields of a command's result for --json."""
    where = {"primary": observed.primary, "secondary": observed.secondary, "epoch": observed.epoch}
    return {"command": command.name, "server_id": command.server, **where}
