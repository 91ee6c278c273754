# SPDX-License-Identifier: Apache-2.0
"""The simulated backend: a small model of COLO's checkpoints, link loss and crashes.

Its figures are generated; pages and commands mark them as simulated.
"""

import dataclasses
import datetime
import random
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

from oslo_config import cfg

from nova_colo.agent.replication import PairSpec, ReplicationError, Report
from nova_colo.hoststate import json_file
from nova_colo.pair import checkpoint_stats, reasons
from nova_colo.pair.model import Cause, Mode
from nova_colo.pair.reasons import Reason
from nova_colo.simulator import hypervisor as hv

#: Parameters of the lognormal pause, from a real idle pair: a mean of about 9 ms with a tail to some 60 ms.
PAUSE_MU, PAUSE_SIGMA = 2.1, 0.45


class SimulatedBackend:
    """Runs replicas of pairs on the simulated hypervisor.

    :param clock: seconds since the epoch
    """

    name = "simulated"

    def __init__(self, conf: cfg.ConfigOpts, clock: Callable[[], float] = time.time, seed: int | None = None):
        self._options = conf.simulated
        self._host = conf.host
        self._hypervisor = hv.Hypervisor(conf.simulated.directory, conf.host)
        self._clock = clock
        self._random = random.Random(seed)  # noqa: S311
        self._lock = threading.RLock()  # of all replication files

    def watch(self, changed: Callable[[], None]) -> None:
        """Do nothing: changes of simulated guests are only noticed when they are polled."""

    def describe(self, spec: PairSpec) -> dict[str, Any]:
        """Return an empty description: a simulated guest has no devices."""
        return {}

    def prepare_secondary(self, spec: PairSpec, primary: dict[str, Any]) -> dict[str, Any]:
        """Create a paused guest with the server's name and id."""
        if spec.secondary_host != self._host:
            where = {"host": self._host, "other": spec.secondary_host}
            raise ReplicationError(reasons.WRONG_HOST(server=spec.server_id, **where))
        self._hypervisor.put(hv.Domain(spec.server_id, spec.name, hv.PAUSED))
        return {}

    def start(self, spec: PairSpec, secondary: dict[str, Any]) -> None:
        """Start the first copy to the secondary."""
        domain = self._hypervisor.get(spec.server_id)
        if domain is None or domain.state != hv.RUNNING:
            raise ReplicationError(reasons.GUEST_NOT_RUNNING(server=spec.server_id, host=self._host))
        if not self._hypervisor.linked(spec.server_id, spec.secondary_host):
            where = {"host": self._host, "other": spec.secondary_host}
            raise ReplicationError(reasons.PEER_NOT_REACHED(server=spec.server_id, **where))
        now = self._clock()
        path = self._hypervisor.replication(spec.server_id)
        if json_file.read(path) is None:
            record: dict[str, Any] = {
                "started_at": now,
                "ticked_at": None,
                "totals": spec.totals,
                "recent": [],
            }
            json_file.write(path, record | {"mode": spec.mode, "interval_ms": spec.interval_ms})

    def poll(self, server_id: str) -> None:
        """Do nothing: the state is read for each report."""

    def report(self, server_id: str, peer: str | None) -> Report:
        """Advance the model to the current time and return the state of this host's replica."""
        guest = self._hypervisor.get(server_id)
        shut_down = guest is not None and guest.state == hv.SHUT_OFF
        running = guest is not None and not shut_down
        if not running or peer is None:
            return Report(running, shut_down=shut_down)
        with self._lock:
            return self._report(server_id, peer)

    def _report(self, server_id: str, peer: str) -> Report:
        linked = self._hypervisor.linked(server_id, peer)
        path = self._hypervisor.replication(server_id)
        record = json_file.read(path)
        if record is None:
            return Report(True, linked)
        percent = self._copied(record)
        if percent < 100:
            return Report(
                True, linked, {"stage": reasons.COPYING.code, "step": 3, "of": 4, "percent": percent}
            )
        if linked:
            self._advance(record)
            json_file.write(path, record)
        return Report(True, linked, None, self._figures(record))

    def pause(self, server_id: str) -> bool:
        """Pause the primary's guest."""
        self._set_state(server_id, hv.PAUSED)
        return True

    def check_promotable(self, server_id: str) -> None:
        """Check that a secondary on this host can be promoted now."""
        if self._hypervisor.get(server_id) is None:
            raise ReplicationError(reasons.NO_SECONDARY_HERE(server=server_id, host=self._host))

    def promote(self, server_id: str, stopped: bool) -> float | None:
        """Run the secondary. The downtime is not simulated."""
        self.check_promotable(server_id)
        self._set_state(server_id, hv.RUNNING)
        return None

    def set_mode(self, server_id: str, mode: str, interval_ms: int | None, actual: str | None = None) -> None:
        """Change the mode of a primary; a secondary has none of its own."""
        path = self._hypervisor.replication(server_id)
        with self._lock:
            record = json_file.read(path)
            if record is not None:
                json_file.write(path, record | {"mode": mode, "interval_ms": interval_ms})

    def buckets(self, server_id: str, since: int) -> list[dict[str, Any]]:
        """Return the checkpoints of the last five minutes in intervals of ten seconds."""
        record = json_file.read(self._hypervisor.replication(server_id))
        recent = [_checkpoint(c) for c in record["recent"]] if record else []
        return checkpoint_stats.buckets(recent, 10, since, self._clock())

    def unmet_requirements(self) -> list[Reason]:
        """Return nothing: the simulation has no requirements."""
        return []

    def versions(self) -> dict[str, str]:
        """Return nothing: there is no QEMU."""
        return {}

    def finalize(self, server_id: str) -> None:
        """Do nothing: a simulated guest has no files."""

    def run_unprotected(self, server_id: str) -> None:
        """End replication and run the primary."""
        if self._hypervisor.get(server_id) is None:
            raise ReplicationError(reasons.GUEST_NOT_RUNNING(server=server_id, host=self._host))
        with self._lock:
            self._hypervisor.replication(server_id).unlink(missing_ok=True)
        self._set_state(server_id, hv.RUNNING)

    def unprotect(self, server_id: str) -> None:
        """End replication and run the primary, if it is in a pair.

        A guest that Nova has stopped stays stopped.
        """
        if self._hypervisor.get(server_id) is not None and self._hypervisor.replication(server_id).exists():
            self.run_unprotected(server_id)

    def destroy(self, server_id: str) -> None:
        """Destroy the guest on this host."""
        with self._lock:
            self._hypervisor.remove(server_id)

    def delete_state(self, server_id: str) -> None:
        """Do nothing: a simulated replica has no state besides its guest."""

    def ended(self, with_role: Collection[str]) -> list[str]:
        """Return nothing: a simulated replica has no state besides its guest."""
        return []

    def _set_state(self, server_id: str, state: str) -> None:
        domain = self._hypervisor.get(server_id)
        if domain is not None and domain.state != hv.SHUT_OFF:
            self._hypervisor.put(dataclasses.replace(domain, state=state))

    def _copied(self, record: dict[str, Any]) -> int:
        total = self._options.mirror_time
        return 100 if total <= 0 else min(int(100 * (self._clock() - record["started_at"]) / total), 100)

    def _advance(self, record: dict[str, Any]) -> None:
        """Take the checkpoints that were due since the last poll."""
        now = self._clock()
        at = record["ticked_at"] or now
        recent = [_checkpoint(c) for c in record["recent"]]
        last = recent[-1].at if recent else at
        periodic_only = record.get("mode") == Mode.CHECKPOINT
        rate = 0.0 if periodic_only else self._options.mismatches_per_minute / 60
        interval = record.get("interval_ms")
        delay = interval / 1000 if periodic_only and interval else self._options.checkpoint_delay
        due = []
        while True:
            periodic = max(last, record["started_at"]) + delay
            mismatch = at + self._random.expovariate(rate) if rate else float("inf")
            at = min(periodic, mismatch)
            if at > now:
                break
            cause = Cause.MISMATCH if mismatch < periodic else Cause.PERIODIC
            due.append(
                checkpoint_stats.Checkpoint(
                    at, cause, round(self._random.lognormvariate(PAUSE_MU, PAUSE_SIGMA), 2)
                )
            )
            last = at
        record["ticked_at"] = now
        record["totals"] = dataclasses.asdict(checkpoint_stats.Totals(**record["totals"]).plus(due))
        record["recent"] = [dataclasses.asdict(c) for c in checkpoint_stats.prune([*recent, *due], now)]

    def _figures(self, record: dict[str, Any]) -> dict[str, Any]:
        now = self._clock()
        recent = [_checkpoint(c) for c in record["recent"]]
        totals = checkpoint_stats.Totals(**record["totals"])
        window = checkpoint_stats.window(recent, now, record["started_at"])
        last = datetime.datetime.fromtimestamp(recent[-1].at, datetime.UTC) if recent else None
        return {
            "total": totals.total,
            **dataclasses.asdict(totals),
            "last_at": last.strftime("%Y-%m-%dT%H:%M:%SZ") if last else None,
            "window_s": int(checkpoint_stats.WINDOW_S),
            "per_min": round(window.per_min, 2),
            "pause_ms": {
                "mean": window.pause_mean_ms,
                "p99": window.pause_p99_ms,
                "max": window.pause_max_ms,
            },
        }


def _checkpoint(record: dict[str, Any]) -> checkpoint_stats.Checkpoint:
    return checkpoint_stats.Checkpoint(record["at"], Cause(record["cause"]), record["pause_ms"])
