# SPDX-License-Identifier: Apache-2.0
"""Action rules: which of Nova's actions on an FT server pass, end its pair for a while, or are refused."""

import dataclasses
import enum
from collections.abc import Mapping

from nova_colo.pair import reasons
from nova_colo.pair.model import Pair, State, Wanted
from nova_colo.pair.reason import Group, Kind, Reason, kind

#: Header of the engine's own requests to Nova, with the id of the operation that they belong to.
OPERATION_HEADER = "X-Nova-Colo-Operation"


class Effect(enum.StrEnum):
    """The effect of an action on a pair.

    ``none``: the action reads, removes the server, or repairs records, and always passes.
    ``keeps``: the pair stays.
    ``renews``: the pair ends, and the engine creates a new one as soon as the server is ACTIVE again.
    ``breaks``: the secondary cannot reproduce the change: refused while a secondary exists or is being
    created.
    ``attaches``: the action adds a device that can never be replicated: refused while the server is to be
    protected.

    ``keeps`` and ``renews`` are refused only while Nova's records are being updated after a failover.
    """

    NONE = "none"
    KEEPS = "keeps"
    RENEWS = "renews"
    BREAKS = "breaks"
    ATTACHES = "attaches"


@dataclasses.dataclass(frozen=True)
class Rule:
    """The rule for an action.

    :param policies: Nova's policy rules for it; Nova itself refuses callers that satisfy none of them
    :param refused: why it is refused, and what to do instead
    """

    effect: Effect
    policies: tuple[str, ...]
    refused: Kind | None = None


_UNPROTECT = "Unprotect the server first."
_STOP_OR_UNPROTECT = "Stop the server instead, or unprotect it first."
_FAIL_OVER = "Fail it over to run it on its secondary's host, or move its secondary to another host."


def _policies(*names: str) -> tuple[str, ...]:
    return tuple(f"os_compute_api:{name}" for name in names)


def _passes(effect: Effect, *policies: str) -> Rule:
    return Rule(effect, _policies(*policies))


def _refused(
    effect: Effect, policies: tuple[str, ...], code: str, because: str, remedy: str = _UNPROTECT
) -> Rule:
    return Rule(
        effect,
        _policies(*policies),
        kind(Group.REFUSAL, code, f"{because} {remedy}", "[Nova's actions](actions.md)"),
    )


#: The actions of POST /servers/{id}/action, by their names in the body. Other actions are passed on to Nova.
ACTIONS: Mapping[str, Rule] = {
    # --- the guest is not affected
    "os-getConsoleOutput": _passes(Effect.NONE, "os-console-output"),
    "os-getVNCConsole": _passes(Effect.NONE, "os-remote-consoles"),
    "os-getSPICEConsole": _passes(Effect.NONE, "os-remote-consoles"),
    "os-getRDPConsole": _passes(Effect.NONE, "os-remote-consoles"),
    "os-getSerialConsole": _passes(Effect.NONE, "os-remote-consoles"),
    # an operator's tool to repair a failed move, needed while Nova's records are not updated
    "os-resetState": _passes(Effect.NONE, "os-admin-actions:reset_state"),
    "forceDelete": _passes(Effect.NONE, "os-deferred-delete:force"),
    # --- both replicas are affected alike
    "lock": _passes(Effect.KEEPS, "os-lock-server:lock"),
    "unlock": _passes(Effect.KEEPS, "os-lock-server:unlock"),
    "changePassword": _passes(Effect.KEEPS, "os-admin-password"),
    "trigger_crash_dump": _passes(Effect.KEEPS, "servers:trigger_crash_dump"),
    "addSecurityGroup": _passes(Effect.KEEPS, "os-security-groups:add"),
    "removeSecurityGroup": _passes(Effect.KEEPS, "os-security-groups:remove"),
    "addFloatingIp": _passes(Effect.KEEPS, "os-floating-ips:add"),
    "removeFloatingIp": _passes(Effect.KEEPS, "os-floating-ips:remove"),
    # another address of an existing port: no device is added or removed
    "addFixedIp": _passes(Effect.KEEPS, "os-multinic:add"),
    "removeFixedIp": _passes(Effect.KEEPS, "os-multinic:remove"),
    "resetNetwork": _passes(Effect.KEEPS),
    "injectNetworkInfo": _passes(Effect.KEEPS, "os-admin-actions:inject_network_info"),
    # --- the guest starts or stops
    "os-start": _passes(Effect.RENEWS, "servers:start"),
    "os-stop": _passes(Effect.RENEWS, "servers:stop"),
    "reboot": _passes(Effect.RENEWS, "servers:reboot"),
    "rebuild": _passes(Effect.RENEWS, "servers:rebuild"),
    "shelve": _passes(Effect.RENEWS, "os-shelve:shelve"),
    "shelveOffload": _passes(Effect.RENEWS, "os-shelve:shelve_offload"),
    "unshelve": _passes(Effect.RENEWS, "os-shelve:unshelve"),
    "restore": _passes(Effect.RENEWS, "os-deferred-delete:restore"),
    "unpause": _passes(Effect.RENEWS, "os-pause-server:unpause"),
    "resume": _passes(Effect.RENEWS, "os-suspend-server:resume"),
    "unrescue": _passes(Effect.RENEWS, "os-unrescue"),
    "confirmResize": _passes(Effect.RENEWS, "servers:confirm_resize"),
    "revertResize": _passes(Effect.RENEWS, "servers:revert_resize"),
    # --- the secondary cannot reproduce the change
    "pause": _refused(
        Effect.BREAKS,
        ("os-pause-server:pause",),
        "nova_pause",
        "A protected server cannot be paused: its secondary would treat that as a failure.",
        _STOP_OR_UNPROTECT,
    ),
    "suspend": _refused(
        Effect.BREAKS,
        ("os-suspend-server:suspend",),
        "nova_suspend",
        "A protected server cannot be suspended: its memory would be saved on one of its two hosts only.",
        f"{_STOP_OR_UNPROTECT} Suspending its protection is a separate action.",
    ),
    "migrate": _refused(
        Effect.BREAKS,
        ("os-migrate-server:migrate", "os-migrate-server:migrate:host"),
        "nova_migrate",
        "A protected server cannot be migrated.",
        _FAIL_OVER,
    ),
    "os-migrateLive": _refused(
        Effect.BREAKS,
        ("os-migrate-server:migrate_live", "os-migrate-server:migrate_live:host"),
        "nova_migrate_live",
        "A protected server cannot be live migrated.",
        _FAIL_OVER,
    ),
    "evacuate": _refused(
        Effect.BREAKS,
        ("os-evacuate",),
        "nova_evacuate",
        "A server that has a secondary cannot be evacuated: the secondary takes over by itself when the host "
        "is lost.",
        "Fail the server over to switch to the secondary manually.",
    ),
    "resize": _refused(
        Effect.BREAKS,
        ("servers:resize",),
        "nova_resize",
        "A protected server cannot be resized: its secondary cannot be resized.",
    ),
    "createImage": _refused(
        Effect.BREAKS,
        ("servers:create_image",),
        "nova_create_image",
        "No image can be created of a protected server: its disk is being replicated.",
    ),
    "createBackup": _refused(
        Effect.BREAKS,
        ("os-create-backup",),
        "nova_create_backup",
        "No backup can be created of a protected server: its disk is being replicated.",
    ),
    "rescue": _refused(
        Effect.BREAKS,
        ("os-rescue",),
        "nova_rescue",
        "A protected server cannot be rescued: its secondary does not have the rescue disk.",
    ),
}

_VOLUME = "A volume cannot be {} a fault tolerant server: volumes are not replicated."

#: Requests to other paths below a server, by names that only this package uses.
REQUESTS: Mapping[str, Rule] = {
    "attach volume": _refused(
        Effect.ATTACHES,
        ("os-volumes-attachments:create",),
        "nova_attach_volume",
        _VOLUME.format("attached to"),
    ),
    "change volume": _refused(
        Effect.BREAKS,
        ("os-volumes-attachments:update", "os-volumes-attachments:swap"),
        "nova_change_volume",
        _VOLUME.format("replaced in"),
    ),
    "detach volume": _refused(
        Effect.BREAKS,
        ("os-volumes-attachments:delete",),
        "nova_detach_volume",
        "A volume cannot be detached from a protected server: the devices of its replicas would differ.",
    ),
    "attach interface": _refused(
        Effect.ATTACHES,
        ("os-attach-interfaces:create",),
        "nova_attach_interface",
        "An interface cannot be attached to a fault tolerant server: "
        "the devices of its replicas would differ.",
    ),
    "detach interface": _refused(
        Effect.BREAKS,
        ("os-attach-interfaces:delete",),
        "nova_detach_interface",
        "An interface cannot be detached from a protected server: the devices of its replicas would differ.",
    ),
    "attach share": _refused(
        Effect.ATTACHES,
        ("os-server-shares:create",),
        "nova_attach_share",
        "A share cannot be attached to a fault tolerant server: "
        "it would be mounted on one of its hosts only.",
    ),
    "detach share": _refused(
        Effect.BREAKS,
        ("os-server-shares:delete",),
        "nova_detach_share",
        "A share cannot be detached from a protected server: the devices of its replicas would differ.",
    ),
    # a protected server has a live migration only while Nova's records are updated after a failover
    "abort migration": _passes(Effect.KEEPS, "servers:migrations:delete"),
    "force migration": _passes(Effect.KEEPS, "servers:migrations:force_complete"),
}


def refusal(rule: Rule, pair: Pair, *, busy: bool) -> Reason | None:
    """Return why an action must not reach Nova now; None when it may.

    :param busy: whether an operation on the pair is in progress
    """
    if rule.effect == Effect.NONE:
        return None
    if pair.state == State.FAILING_OVER:
        return reasons.WAIT_FAILOVER()
    if pair.nova_host != pair.primary_host:
        return reasons.WAIT_RECORDS()
    if rule.refused is None:
        return None
    wanted = rule.effect == Effect.ATTACHES and pair.wanted != Wanted.UNPROTECTED
    if wanted or pair.secondary_host is not None or pair.state == State.STARTING:
        return rule.refused()
    return reasons.WAIT_BUSY() if busy else None
