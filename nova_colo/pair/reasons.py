# SPDX-License-Identifier: Apache-2.0
"""The catalogue of reasons: every message about a pair, with its remedy for operators.

To add a reason, add an entry here, run ``make messages``, and translate the new message of the dashboard.
The operator's guide, the dashboard's sentences and the API are derived from this catalogue. Codes are stored
and sent, so each stays as it is when its constant is renamed.
"""

from nova_colo.pair.reason import CATALOGUE, Group, Kind, Reason, Severity, kind, read, read_all

__all__ = ["CATALOGUE", "Group", "Kind", "Reason", "Severity", "read", "read_all"]

_WARNING, _ERROR = Severity.WARNING, Severity.ERROR

# --- causes: what was requested or lost; parts of other sentences

_G = Group.CAUSE
REQUESTED = kind(
    _G, "requested", "requested", "A user requested it; the event names the request and the user."
)
REQUESTED_BY_FORCE = kind(
    _G, "requested_by_force", "requested with force", "As for `requested`, for a pair that was not protected."
)
TEST_REQUESTED = kind(_G, "test_requested", "a test failover was requested", "A user requested it.")
TEST_RETURN = kind(
    _G,
    "test_return",
    "returning to %(host)s after a test failover",
    "The second half of `openstack server ft test failover --return`.",
    hosts="host",
    public="returning to its former host after a test failover",
)
HOST_LOST = kind(
    _G,
    "host_lost",
    "host %(host)s is lost",
    "Its agent is silent *and* the peer has lost the replication link to it. Check the host.",
    hosts="host",
    public="the primary's host is lost",
)
PRIMARY_ENDED = kind(
    _G,
    "primary_ended",
    "the primary QEMU on %(host)s exited",
    "The host is up, but the guest's process is gone. Check QEMU's log, and the kernel's log for the OOM "
    "killer.",
    hosts="host",
)
PRIMARY_SILENT = kind(
    _G,
    "primary_silent",
    "the primary QEMU on %(host)s does not answer",
    "The host is up and the guest's process exists, but it is stopped, or waits for a dead disk. Check "
    "QEMU's log, and the kernel's log for hung tasks.",
    hosts="host",
)
SECONDARY_HOST_LOST = kind(
    _G,
    "secondary_host_lost",
    "the secondary's host %(host)s is lost",
    "The replication link is down and the agent there is silent. Check the host.",
    hosts="host",
    public="the secondary's host is lost",
)
LINK_LOST = kind(
    _G,
    "link_lost",
    "the replication link to %(host)s is lost",
    "The replication link is down, but the agent there answers. Check the replication network.",
    hosts="host",
    public="the replication link is lost",
)
SECONDARY_ENDED = kind(
    _G, "secondary_ended", "the secondary QEMU on %(host)s exited", "As for `primary_ended`.", hosts="host"
)
SECONDARY_SILENT = kind(
    _G,
    "secondary_silent",
    "the secondary QEMU on %(host)s does not answer",
    "As for `primary_silent`.",
    hosts="host",
)
SECONDARY_MISSED_WRITE = kind(
    _G,
    "secondary_missed_write",
    "the secondary on %(host)s has missed a write to its disk",
    "The disk of the secondary, or the file system of its overlays, is full or broken. Check it: QEMU's log "
    "there, `df`, and the kernel's log. The primary is not affected.",
    hosts="host",
)
ENDED_AND_MISSED_WRITE = kind(
    _G,
    "ended_and_missed_write",
    "the primary QEMU on %(host)s exited, and the secondary has missed a write to its disk",
    "A double fault. The secondary's disk is out of date, so it is not promoted. Hard reboot the server: it "
    "starts from the primary's disk.",
    hosts="host",
)
LOST_AND_MISSED_WRITE = kind(
    _G,
    "lost_and_missed_write",
    "host %(host)s is lost, and the secondary has missed a write to its disk",
    "A double fault. The secondary's disk is out of date, so it is not promoted. Bring the host back: the "
    "server's data is there.",
    hosts="host",
    public="the primary's host is lost, and the secondary has missed a write to its disk",
)
BOTH_ENDED = kind(_G, "both_ended", "both QEMUs of the pair exited", "A double fault. Check both hosts.")
HOST_AND_SECONDARY_LOST = kind(
    _G,
    "host_and_secondary_lost",
    "host %(host)s is lost and the secondary QEMU exited",
    "A double fault. Check both hosts.",
    hosts="host",
    public="the primary's host is lost and the secondary QEMU exited",
)
UNPROTECTED_ENDED = kind(
    _G,
    "alone_ended",
    "the QEMU on %(host)s exited and the server has no secondary",
    "The server had no secondary when its process exited. Check QEMU's log.",
    hosts="host",
)
ENDED_BEFORE_RECORDS = kind(
    _G,
    "ended_before_records",
    "the QEMU on %(host)s exited before Nova's records were updated",
    "A double fault in the seconds after a failover. See [a failover that is "
    "stuck](#a-failover-that-is-stuck).",
    hosts="host",
)
WAITS_FOR_LOST_PEER = kind(
    _G,
    "waits_for_lost_peer",
    "the primary on %(host)s still waits for a lost secondary",
    "An interrupted unprotect. The engine repairs it.",
    hosts="host",
)
RECORDS_OUTDATED = kind(
    _G,
    "records_outdated",
    "Nova's records still name %(host)s",
    "Nova's records are not updated yet after a failover.",
    hosts="host",
    public="Nova's records still name the server's former host",
)
RECORDS_IN_ERROR = kind(
    _G,
    "records_in_error",
    "the server runs on %(host)s but is in ERROR in Nova",
    "The last step of a move of Nova's records failed, for example because nova-compute was restarted in "
    "the middle of it. The engine sets the server to `ACTIVE`.",
    hosts="host",
)

# --- reasons of a pair's state

_G = Group.STATE
SHUT_DOWN = kind(
    _G,
    "shut_down",
    "The guest on %(host)s has powered itself off.",
    "Somebody has shut it down from inside. The engine stops the server in Nova, too; `openstack server "
    "start` starts it, and it is protected again.",
    hosts="host",
)
GRANT_LOST = kind(
    _G,
    "grant_lost",
    "The database has epoch %(lost)s of this server, but %(host)s has recorded epoch %(epoch)s.",
    "The database has lost a committed transaction, or a replica is left from an earlier life of the server "
    "as an FT server. Nothing is started or destroyed until that is clear. Find out by Nova's records and by "
    "its disk which host runs the server rightfully. On the others stop the agent, end the QEMU with `virsh "
    "destroy`, delete `roles/ID.json` below the agent's `state_path`, and start the agent.",
    _ERROR,
    hosts="host",
)
GRANT_RESTORED = kind(
    _G,
    "grant_restored",
    "The database had lost the grant for epoch %(epoch)s to %(host)s (it had epoch %(lost)s). It was "
    "restored.",
    "The engine has restored it from the report of that host's agent. Find out why the database loses "
    "committed transactions, see [The database](#the-database).",
    _ERROR,
    hosts="host",
)
OTHER = kind(
    _G,
    "other",
    "%(text)s",
    "A text from a release without codes.",
    private="text",
    public="The reason is shown to operators only.",
)
WAITING = kind(
    _G,
    "waiting",
    "The server waits for its secondary.",
    "Nothing: `starting` follows within seconds. Otherwise check that an engine is active.",
)
MAKING_SECONDARY = kind(_G, "making_secondary", "A secondary is being created.", "Wait.")
WAITING_FOR_COPIES = kind(
    _G,
    "waiting_for_copies",
    "The server waits for its turn: %(number)s others on %(host)s get their secondaries first.",
    "Wait. As many as `[engine] max_copies_per_host` are copied from or to a host at the same time.",
    hosts="host",
)
PROTECTED_TOO_OFTEN = kind(
    _G,
    "protected_too_often",
    "A secondary was created %(number)s times within an hour. The next is created later.",
    "Find out from the events why the server loses its secondary. If its users remove and request its "
    "protection again and again, they wait; `[engine] max_protects_per_hour` is the limit.",
    _WARNING,
)
REMOVING_SECONDARY = kind(_G, "removing_secondary", "The secondary is being removed.", "Wait a second.")
MOVING_SECONDARY = kind(
    _G,
    "moving_secondary",
    "The secondary is being moved.",
    "Wait. The server has no secondary for part of that time.",
)
NOT_ACTIVE = kind(
    _G,
    "not_active",
    "The server is %(status)s. It is protected again when it is ACTIVE.",
    "Start the server when it is needed. Its capacity stays reserved while it is `SHUTOFF`, paused or "
    "suspended, and is released while it is shelved.",
)
UNPROTECTED_ON_REQUEST = kind(
    _G,
    "unprotected_on_request",
    "Protection was removed on request. The server can be protected again at any time.",
    "Nothing.",
)
SUSPENDED_ON_REQUEST = kind(
    _G,
    "suspended_on_request",
    "Protection is suspended on request. It can be resumed at any time.",
    "Nothing.",
)
SUSPENDED = kind(_G, "suspended", "Protection is suspended.", "Nothing.")
LEAVING = kind(
    _G,
    "leaving",
    "Nova is restarting, replacing or stopping the guest on %(host)s.",
    "Nothing: a user reboots, rebuilds or stops the server. Nova waits for the removal of its secondary, for "
    "60 s at most (`[colo] leave_timeout`).",
    hosts="host",
)
REPLACED = kind(
    _G,
    "replaced",
    "The guest on %(host)s was restarted or replaced. A new secondary will be created.",
    "Nothing: Nova rebooted or rebuilt the server.",
    hosts="host",
)
FAILING_OVER = kind(_G, "failing_over", "Failing over: %(reason)s.", "Wait.")
FAILED_OVER_RECORDS = kind(
    _G,
    "failed_over_records",
    "Failed over: %(reason)s. Nova's records are being updated.",
    "Wait. The server already runs on its new host.",
    _WARNING,
)
FAILED_OVER_UNPROTECTED = kind(
    _G,
    "failed_over_alone",
    "Failed over: %(reason)s. The server runs without a secondary until it is protected again.",
    "Nothing: a new secondary is created. If that fails, the reason changes to one of the next table.",
    _WARNING,
)
RUNNING_UNPROTECTED = kind(
    _G, "running_alone", "Continuing without a secondary: %(reason)s.", "Wait a second.", _WARNING
)
SECONDARY_LOST = kind(
    _G,
    "secondary_lost",
    "Secondary lost: %(reason)s. The server runs without a secondary until it is protected again.",
    "Check the host that is named. A new secondary is created.",
    _WARNING,
)
NO_SECONDARY = kind(
    _G,
    "no_secondary",
    "The server runs without a secondary.",
    "Nothing: a new secondary is created.",
    _WARNING,
)
NO_AUTO_REPROTECT = kind(
    _G,
    "no_auto_reprotect",
    "The secondary was lost and the flavor has ft:auto_reprotect=0. Protect the server again.",
    "Find out why the secondary was lost, then run `openstack server ft protect SERVER`.",
    _WARNING,
)
FAILOVER_FAILED = kind(
    _G,
    "failover_failed",
    "The failover failed: %(error)s",
    "Nothing has changed. See the error and try again.",
    _ERROR,
)
FAILOVER_FAILED_UNPROTECTED = kind(
    _G,
    "failover_failed_alone",
    "The failover failed: %(error)s The server runs without a secondary until it is protected again.",
    "The server runs on its old host. See the error.",
    _ERROR,
)
FAILOVER_STUCK = kind(
    _G,
    "failover_stuck",
    "The failover is not finished: %(error)s",
    "**Act at once**: the grant was given, but it is not certain that the secondary runs. Bring up the "
    "agents of both hosts; the engine then continues. See [a failover that is "
    "stuck](#a-failover-that-is-stuck).",
    _ERROR,
)
RECORDS_STUCK = kind(
    _G,
    "records_stuck",
    "The server runs, but updating Nova's records failed: %(error)s",
    "Clients are served, but Nova names the old host. The engine retries with increasing delays. See "
    "[Nova's records are not updated](#novas-records-are-not-updated).",
    _ERROR,
)
NOT_RUNNING = kind(
    _G,
    "not_running",
    "Not running: %(reason)s.",
    "Both replicas are gone. When the host that is named is back, the engine has Nova reboot the server. "
    "If it will not come back, run `openstack server evacuate` as without fault tolerance (its disk is "
    "created from its image again, unless it is on shared storage).",
    _ERROR,
)
NOT_RUNNING_RESTARTING = kind(
    _G,
    "not_running_restarting",
    "Not running: %(reason)s. It is being restarted.",
    "Wait: the engine has Nova reboot the server. Its memory is lost. Find out why its QEMU exited.",
    _ERROR,
)
NOT_RUNNING_WAITING = kind(
    _G,
    "not_running_waiting",
    "Not running: %(reason)s. It is restarted there once Nova's records are updated.",
    "Wait. See [a failover that is stuck](#a-failover-that-is-stuck).",
    _ERROR,
)
NOT_RUNNING_STUCK = kind(
    _G,
    "not_running_stuck",
    "Not running: %(reason)s. Updating Nova's records failed: %(error)s",
    "As for `records_stuck`. The server is restarted as soon as they are updated.",
    _ERROR,
)
RESTARTED = kind(
    _G,
    "restarted",
    "The server was restarted: %(reason)s.",
    "Its memory was lost. Find out why both replicas exited.",
    _ERROR,
)
NOT_MOVED = kind(
    _G,
    "not_moved",
    "The secondary was not moved: %(error)s",
    "If the server is still protected, it has its old secondary. See the error.",
    _WARNING,
)
UNPROTECT_FAILED = kind(
    _G,
    "unprotect_failed",
    "Removing the protection failed: %(error)s",
    "The engine retries.",
    _WARNING,
)
INTERNAL_ERROR = kind(
    _G,
    "internal_error",
    "Internal error in operation %(operation)s. See the log of nova-colo-engine.",
    "Search the engine's log for the id. The engine retries.",
    _ERROR,
)
PAIR_IS = kind(_G, "pair_is", "The pair is %(state)s.", "Wait.", _WARNING)

# --- health of the replication link of a protected pair

_G = Group.LINK
AGENT_SILENT = kind(
    _G,
    "agent_silent",
    "The agent on %(host)s does not answer.",
    "The pair still works, but a failover needs that agent. Start it, and check that the host reaches "
    "RabbitMQ.",
    _WARNING,
    hosts="host",
)
REPLICA_SILENT = kind(
    _G,
    "replica_silent",
    "The QEMU on %(host)s does not answer its agent.",
    "It may run all the same, so nothing is done until it answers or the replication link is lost. Check "
    "libvirtd and the disks of that host.",
    _WARNING,
    hosts="host",
)
LINK_UNKNOWN = kind(
    _G,
    "link_unknown",
    "The state of the replication link is not known yet.",
    "Wait a few seconds. If it persists, check that the agent reaches its QEMU.",
    _WARNING,
)
PEER_SILENT = kind(
    _G,
    "peer_silent",
    "The peer's host has not answered on the replication network for %(seconds)s s.",
    "Check the replication network between the two hosts.",
    _ERROR,
)
LINK_DISCONNECTED = kind(
    _G,
    "link_disconnected",
    "Replication is disconnected: %(sockets)s.",
    "Nothing: the remaining replica runs unprotected. Check the host of the lost one.",
    _ERROR,
)
LINK_STUCK = kind(
    _G,
    "link_stuck",
    "Replication is stuck: a checkpoint is %(seconds)s s late.",
    "The peer's QEMU does not answer although its host does. Check whether it is frozen, or its host is "
    "out of CPU or memory.",
    _ERROR,
)
COPY_ENDED = kind(
    _G,
    "copy_ended",
    "A write has not reached the secondary's disk.",
    "The disk of the secondary's host, or the file system of its overlays, is full or broken, or the network "
    "is interrupted. The primary runs on unprotected.",
    _ERROR,
)
DISK_FAILED = kind(
    _G,
    "disk_failed",
    "The secondary's disk has failed.",
    "It is full or broken: check `df`, QEMU's log and the kernel's log on that host. The secondary is not "
    "promoted any more.",
    _ERROR,
)
LOW_SPACE = kind(
    _G,
    "low_space",
    "Only %(megabytes)s MB are free for the server's disk on %(host)s.",
    "Free some space. When none is left, a secondary leaves the pair, and a primary's guest gets an error. "
    "The limit is `[qemu] low_space`.",
    _WARNING,
    hosts="host",
)
CERTIFICATE_ENDS = kind(
    _G,
    "certificate_ends",
    "The TLS certificates of %(host)s end on %(day)s.",
    "Renew them: without valid ones no secondary can be created there. No restart is needed.",
    _WARNING,
    hosts="host",
)
GUEST_DISK_ERROR = kind(
    _G,
    "guest_disk_error",
    "The guest received an I/O error from its disk.",
    "The disk of the primary's host is full or broken: check `df`, QEMU's log and the kernel's log there. "
    "Fail over to the secondary, whose disk is another one.",
    _WARNING,
)
CHECKPOINT_LATE = kind(
    _G,
    "checkpoint_late",
    "A checkpoint is %(seconds)s s late.",
    "The host or the network is loaded. Check again.",
    _WARNING,
)
DEVICES_OFF = kind(
    _G,
    "devices_off",
    "The secondary cannot use %(devices)s before the next checkpoint.",
    "The guest has booted, and the secondary was just reset to use its devices. If it recurs, hard reboot "
    "the server.",
    _WARNING,
    private="devices",
    public="The secondary cannot use some of its devices before the next checkpoint.",
)
FENCE_UNARMED = kind(
    _G,
    "fence_unarmed",
    "The primary cannot be killed from its peer's host: %(error)s",
    "The agent must be able to gain privileges ([users](install.md#users-and-privileges)), and no other "
    "process may use that port. See [fencing](#fencing).",
    _WARNING,
)
PAUSES_LONG = kind(
    _G,
    "pauses_long",
    "Checkpoint pauses are long: p99 %(ms)s ms.",
    "Clients notice. The guest dirties more memory between two checkpoints than the network can send "
    "quickly. Use a faster replication network, `quickack 1` on its routes, or a shorter "
    "`ft:checkpoint_interval_ms`.",
    _WARNING,
)
MISMATCH_STORM = kind(
    _G,
    "mismatch_storm",
    "Mismatch storm: replies differ %(number)s times per minute.",
    "The two replicas send different replies (several threads, random numbers, times in replies). Use mode "
    "`hybrid` or `checkpoint` for this server.",
    _WARNING,
)

# --- errors while a server is being protected

_G = Group.PROTECTION
NO_CAPACITY = kind(
    _G,
    "no_capacity",
    "Needs a secondary: no other host has %(memory_mb)s MB of RAM free. Free capacity, enable a host or move "
    "a server.",
    "Placement has no other enabled host in the availability zone of the primary with the flavor's vCPUs "
    "and disk, twice its RAM and its required traits.",
    _WARNING,
)
NO_HEALTHY_HOST = kind(
    _G,
    "no_healthy_host",
    "Needs a secondary: no other host with free capacity has a healthy nova-colo-agent and a nova-compute "
    "that is not forced down. Start them there.",
    "Hosts with capacity exist. `openstack compute ft host list --long` shows whether their agents are down, "
    "they are not capable, or they are [fenced](#fencing).",
    _WARNING,
)
HOST_NO_CAPACITY = kind(
    _G,
    "host_no_capacity",
    "%(host)s is not enabled or has less than %(memory_mb)s MB of RAM free. Free capacity there, or name "
    "another host.",
    "For a secondary that is to move to a given host.",
    _WARNING,
    hosts="host",
)
HOST_UNHEALTHY = kind(
    _G,
    "host_unhealthy",
    "The agent on %(host)s is not healthy, or nova-compute is forced down. Start it, or name another host.",
    "As for `host_no_capacity`.",
    _WARNING,
    hosts="host",
)
AGENT_TIMEOUT = kind(
    _G,
    "agent_timeout",
    "The agent on %(host)s did not answer.",
    "The limit is `[engine] agent_timeout`. Check whether the agent is stuck or RabbitMQ is slow.",
    _WARNING,
    hosts="host",
)
AGENT_REFUSED = kind(
    _G,
    "agent_refused",
    "%(host)s: %(error)s",
    "An agent's error, after the name of its host. See the error.",
    _WARNING,
    hosts="host",
)
AGENT_FAILED = kind(
    _G,
    "agent_failed",
    "%(host)s: %(text)s",
    "An unexpected error of the agent, after the name of its host. See its log.",
    _WARNING,
    hosts="host",
    private="text",
    public="The agent on %(host)s failed. See its log.",
)
GUEST_ENDED = kind(
    _G,
    "guest_ended",
    "The guest on %(host)s stopped while its secondary was being created.",
    "The server itself has stopped. Check it first.",
    _WARNING,
    hosts="host",
)
LINK_LOST_MAKING = kind(
    _G,
    "link_lost_making",
    "The replication link to %(host)s was lost.",
    "Check the network between the two hosts, and the secondary's QEMU.",
    _WARNING,
    hosts="host",
)
SYNC_TIMEOUT = kind(
    _G,
    "sync_timeout",
    "The first synchronisation has made no progress for %(seconds)s s.",
    "Nothing has moved for so long: check the agents' logs on both hosts. The limit is "
    "`[engine] protect_timeout`.",
    _WARNING,
)
NOT_FT = kind(
    _G,
    "not_ft",
    "The server is no longer fault tolerant.",
    "Nothing: it was deleted or resized in the meantime.",
)
NO_SERVER = kind(
    _G,
    "no_server",
    "Server %(server)s does not exist in Nova.",
    "As for `not_ft`, in a strict build.",
    _WARNING,
)
NO_SERVER_ID = kind(
    _G,
    "no_server_id",
    "%(server)s is not the id of a server.",
    "Something else than an engine publishes on the message broker. Find out what.",
    _WARNING,
)
REQUEST_NOT_SIGNED = kind(
    _G,
    "request_not_signed",
    "The agent on %(host)s refused a request, since none of the engines that it knows has signed it.",
    "Set `[engine] signing_key_file` for all engines, and `[agent] engine_keys_file` on the host to a file "
    "with the public keys of them all. If both are right, find out who else publishes on the message broker: "
    "the agent's log has each refused request.",
    _WARNING,
    hosts="host",
    public="The agent on %(host)s refused a request. See its log.",
)
REQUEST_NOT_CURRENT = kind(
    _G,
    "request_not_current",
    "The agent on %(host)s refused a request that by its clock was signed %(seconds)s s ago.",
    "Set the clocks of the host and of the engines: a request is carried out only if they differ by less "
    "than 120 s.",
    _WARNING,
    hosts="host",
    public="The agent on %(host)s refused a request. See its log.",
)
RUNS_OUTSIDE_PAIR = kind(
    _G,
    "runs_outside_pair",
    "%(host)s runs %(server)s itself, outside of any pair.",
    "A QEMU of the server is there without a role: left from an earlier pair, or the server runs there. Find "
    "out, and end one that is left with `virsh destroy`. If it is neither, find out who can publish on the "
    "message broker.",
    _WARNING,
    hosts="host",
)
NOT_BEING_BUILT = kind(
    _G,
    "not_being_built",
    "Server %(server)s is not an FT server that is being built on %(host)s.",
    "Its reservation was requested by something else than the nova-compute that builds it. Find out who can "
    "publish on the message broker.",
    _WARNING,
    hosts="host",
)
GUEST_NOT_RUNNING = kind(
    _G,
    "guest_not_running",
    "The guest of %(server)s is not running on %(host)s.",
    "Nova reports `ACTIVE`, but there is no QEMU process. Check the server.",
    _WARNING,
    hosts="host",
)
PEER_NOT_REACHED = kind(
    _G,
    "peer_not_reached",
    "%(host)s cannot reach the secondary of %(server)s on %(other)s.",
    "Check the network between the two hosts.",
    _WARNING,
    hosts="host other",
    public="The primary's host cannot reach the secondary of %(server)s.",
)
WRONG_HOST = kind(
    _G,
    "wrong_host",
    "The secondary of %(server)s belongs on %(other)s, not on %(host)s.",
    "Check that `[DEFAULT] host` differs on the two agents.",
    _WARNING,
    hosts="host other",
    public="The secondary of %(server)s belongs on another host.",
)
NO_SECONDARY_HERE = kind(
    _G,
    "no_secondary_here",
    "There is no secondary of %(server)s on %(host)s.",
    "Nothing: it has stopped in the meantime.",
    _WARNING,
    hosts="host",
)

# --- errors of QEMU, libvirt and the agent's QEMU backend

_G = Group.BACKEND
DISKS_NOT_CARRIED = kind(
    _G,
    "disks_not_carried",
    "COLO cannot replicate these disks: %(disks)s. Only raw and qcow2 files on virtio or SCSI are supported.",
    "Volumes, network disks, shared disks, IDE and SATA are not supported. Create the server from an "
    "image with the default bus, or resize it to a flavor without fault tolerance. If there are several "
    "disks, all must be supported.",
    _WARNING,
    private="disks",
    public=(
        "The server has disks that COLO cannot replicate. Only raw and qcow2 files on virtio or SCSI are "
        "supported."
    ),
)
NO_DISK = kind(
    _G,
    "no_disk",
    "The guest has no disk that can be replicated.",
    "It boots from the network or from a CD only.",
    _WARNING,
)
NIC_NOT_CARRIED = kind(
    _G,
    "nic_not_carried",
    "COLO cannot replicate NIC %(mac)s (%(model)s). Only virtio NICs on a bridge or tap are supported.",
    "SR-IOV, vhost-user and emulated NICs are not supported: use another port, or set "
    "`hw_vif_model=virtio` on the image. With `vhost` the kernel bypasses QEMU: the server was started "
    "before its host used `colo.ColoLibvirtDriver`, so hard reboot it. Without Nova, set `<driver "
    "name='qemu'/>` in the NIC's XML.",
    _WARNING,
    private="mac model",
    public=(
        "The server has a NIC that COLO cannot replicate. Only virtio NICs on a bridge or tap are supported."
    ),
)
GUEST_DIFFERS = kind(
    _G,
    "guest_differs",
    "The guest would differ on %(host)s. %(differences)s.",
    "Both hosts must give the guest the same machine, CPU and devices: the same `[libvirt] cpu_mode` and "
    "`cpu_models`, the same release of QEMU and libvirt, and no devices of one host only. Each difference "
    "is named, the primary's value first.",
    _WARNING,
    hosts="host",
    private="differences",
    public="The guest would differ on %(host)s.",
)
MEDIUM_TOO_LARGE = kind(
    _G,
    "medium_too_large",
    "COLO cannot replicate the read-only medium %(path)s: it is larger than %(limit_mb)s MiB. Detach it.",
    "Only config drives and small CD images are copied to the secondary's host.",
    _WARNING,
    private="path",
    public="COLO cannot replicate a read-only medium that is larger than %(limit_mb)s MiB. Detach it.",
)
FILE_UNREADABLE = kind(
    _G,
    "file_unreadable",
    "%(path)s cannot be read: %(text)s.",
    "The agent may not read a config drive or CD image. Give its user access.",
    _WARNING,
    private="path text",
    public="A read-only medium of the server cannot be read.",
)
FILE_IN_THE_WAY = kind(
    _G,
    "file_in_the_way",
    "A different file exists at %(path)s. Remove it, or find out what it belongs to.",
    "On the secondary's host, at the path of a config drive or CD image.",
    _WARNING,
    private="path",
    public="A different file exists at the path of one of the secondary's files.",
)
DISK_IN_THE_WAY = kind(
    _G,
    "disk_in_the_way",
    "A disk of %(found)s bytes exists where %(wanted)s bytes are expected. Remove it, or find out what it "
    "belongs to.",
    "Disks of other owners are not overwritten. A disk of the right size is assumed to be left over from "
    "an earlier secondary, and is overwritten.",
    _WARNING,
)
BOOT_FILES_MISSING = kind(
    _G,
    "boot_files_missing",
    "Files that the guest boots from are missing on %(host)s: %(paths)s.",
    "Kernel, initial RAM disk or firmware: install the same firmware package there.",
    _WARNING,
    hosts="host",
    private="paths",
    public="Files that the guest boots from are missing on %(host)s.",
)
VIFS_NOT_PLUGGED = kind(
    _G,
    "vifs_not_plugged",
    "Plugging the guest's VIFs on %(host)s failed: %(text)s",
    "The os-vif plugin of the port's binding is not installed or not configured there. The agent needs "
    "the same `[os_vif_*]` sections and the same privileges as nova-compute: see [installing](install.md).",
    _WARNING,
    hosts="host",
    private="text",
    public="Plugging the guest's VIFs on %(host)s failed.",
)
NOT_IN_QEMU_GROUP = kind(
    _G,
    "not_in_qemu_group",
    "The agent on %(host)s is not in the group %(group)s, which QEMU runs as.",
    "Add the agent's user to that group, as in `usermod --append --groups libvirt-qemu nova`, and restart "
    "the agent: see [users](install.md#users-and-privileges).",
    _WARNING,
    hosts="host",
)
GUEST_REFUSED = kind(
    _G,
    "guest_refused",
    "%(host)s cannot run the guest: %(text)s",
    "libvirt's error message. See `/var/log/libvirt/qemu/` there. Often there is not enough memory, or a "
    "network or bridge is missing.",
    _WARNING,
    hosts="host",
    private="text",
    public="%(host)s cannot run the guest.",
)
DESCRIPTION_REFUSED = kind(
    _G,
    "description_refused",
    "The description of %(server)s asks for what no secondary may have: %(text)s.",
    "The host runs what Nova writes for a server, with files in the server's folder below `[qemu] "
    "instances_path`, which must be that of nova.conf. If it is, find out who can publish on the message "
    "broker.",
    _WARNING,
    private="text",
    public="The description of %(server)s asks for what no secondary may have.",
)
IMAGE_TOOL_FAILED = kind(
    _G,
    "image_tool_failed",
    "qemu-img: %(text)s",
    "See the message. Often the disk of that host is full.",
    _WARNING,
    private="text",
    public="A disk of the secondary could not be created.",
)
PORTS_TAKEN = kind(
    _G,
    "ports_taken",
    "No TCP ports are free from %(first)s to %(last)s. Widen [qemu] port_min and port_max.",
    "Each pair uses two for each NIC on the primary's host and two on the secondary's.",
    _WARNING,
)
NO_REPLICATION_ADDRESS = kind(
    _G,
    "no_replication_address",
    "[qemu] replication_address is not set on %(host)s.",
    "Set it there and restart the agent.",
    _WARNING,
    hosts="host",
)
NOT_DESCRIBED = kind(
    _G,
    "not_described",
    "%(host)s has no description of the secondary of %(server)s.",
    "Its agent lost its state in the meantime. Nothing to do unless it recurs.",
    _WARNING,
    hosts="host",
)
QEMU_DOES_NOT_END = kind(
    _G,
    "qemu_does_not_end",
    "The QEMU of %(server)s on %(host)s cannot be terminated.",
    "An orphaned secondary that libvirt cannot destroy. Check whether its process is stuck in the kernel "
    "(state D).",
    _WARNING,
    hosts="host",
)
NO_QEMU = kind(
    _G, "no_qemu", "The server has no QEMU on this host.", "Nothing: it has exited in the meantime.", _WARNING
)
DISK_NOT_SHOWN = kind(
    _G,
    "disk_not_shown",
    "QEMU does not report disk %(disk)s at %(path)s.",
    "This QEMU names its devices differently from libvirt. Report it, with both versions.",
    _WARNING,
    private="disk path",
    public="QEMU does not report a disk of the server.",
)
NO_REPLICATION_NETWORK = kind(
    _G,
    "no_replication_network",
    "The secondary's host does not answer on the replication network.",
    "Check the replication network between the two hosts: whether the link is up, and whether a firewall "
    "drops packets to `[qemu] reach_port`. A firewall must pass them, and must not reject them on the "
    "host's behalf.",
    _WARNING,
)
COPY_FAILED = kind(
    _G,
    "copy_failed",
    "The copy of a disk to the secondary's host has failed. See QEMU's log there.",
    "Check the network between the two hosts, and whether the disk there is full or broken.",
    _WARNING,
)
DISKS_INCOMPLETE = kind(
    _G,
    "disks_incomplete",
    "The server's disk is still being completed after the failover.",
    "Wait some seconds. If it persists, check whether the disk of this host is full or broken.",
    _WARNING,
)
DISKS_DIFFER = kind(
    _G,
    "disks_differ",
    "The secondary has missed a write to its disk, and is not promoted.",
    "Nothing: the engine removes it. Check the disk of its host.",
    _WARNING,
)
ENCRYPTION_DIFFERS = kind(
    _G,
    "encryption_differs",
    "Only one of the two hosts encrypts. Set [qemu] tls_x509_cert_dir on %(host)s and %(other)s, or on "
    "neither.",
    "Do that, and restart the agent there.",
    _WARNING,
    hosts="host other",
    public="Only one of the two hosts encrypts. Set [qemu] tls_x509_cert_dir on both, or on neither.",
)
MEMORY_STALLED = kind(
    _G,
    "memory_stalled",
    "Memory transfer stalled for %(seconds)s s.",
    "The secondary's QEMU is frozen, or its host is out of CPU or memory.",
    _WARNING,
)
MEMORY_NOT_CONVERGED = kind(
    _G,
    "memory_not_converged",
    "The guest changes its memory faster than it can be sent: for %(seconds)s s it could not be synchronised "
    "within a pause of %(downtime)s s.",
    "Protect it when it has less to do, use a faster replication network, or allow a longer pause: "
    "`[qemu] max_downtime` on its host.",
    _WARNING,
)
MEMORY_NOT_SENT = kind(
    _G,
    "memory_not_sent",
    "The guest's memory could not be sent to the secondary: %(text)s.",
    "QEMU's error message. See its log on either host. Often the network between the two hosts is the cause.",
    _WARNING,
    private="text",
    public="The guest's memory could not be sent to the secondary.",
)
NOT_RESUMED = kind(
    _G,
    "not_resumed",
    "The guest did not resume after the memory transfer.",
    "The first checkpoint has not completed: as for `link_stuck` above.",
    _WARNING,
)
DISCONNECTED_NOT_RUNNING = kind(
    _G,
    "disconnected_not_running",
    "The guest is not running %(seconds)s s after it was disconnected from its secondary.",
    "**Act at once**: the guest may be paused. Check `virsh qemu-monitor-command ID --hmp info status` "
    "and QEMU's log.",
    _ERROR,
)
UNPROTECTED_NOT_RUNNING = kind(
    _G,
    "alone_not_running",
    "The guest is not running %(seconds)s s after it was told to run unprotected.",
    "**Act at once**: the replica that holds the grant is paused. The engine retries. As for "
    "`disconnected_not_running`.",
    _ERROR,
)
NEVER_IN_SYNC = kind(
    _G,
    "never_in_sync",
    "The secondary of %(server)s on %(host)s was never in sync with its primary.",
    "Nothing: it has no memory to resume with, and is not promoted.",
    _WARNING,
    hosts="host",
)
CREATION_ENDING = kind(
    _G,
    "creation_ending",
    "Creation of the secondary has not ended yet.",
    "Nothing: it is being cancelled and retried. If it persists, a QEMU waits for the other host: check the "
    "replication network.",
    _WARNING,
)
NOT_CONNECTED = kind(
    _G,
    "not_connected",
    "Timed out after %(seconds)s s waiting for the secondary to connect.",
    "Check whether a firewall on the replication network drops packets to `[qemu] port_min` to `port_max`.",
    _WARNING,
)
CREATION_CANCELLED = kind(
    _G,
    "creation_cancelled",
    "Creation of the secondary was cancelled.",
    "Nothing: the protection was removed in the meantime.",
    _WARNING,
)
AGENT_RESTARTED = kind(
    _G,
    "agent_restarted",
    "The agent was restarted while the secondary was being created.",
    "Nothing: the copy starts over.",
    _WARNING,
)
QEMU_REFUSED = kind(
    _G,
    "qemu_refused",
    "QEMU refused %(command)s: %(text)s",
    "See the agent's log and QEMU's. Report it, with the version.",
    _WARNING,
    private="text",
    public="QEMU refused %(command)s.",
)
QEMU_SILENT = kind(
    _G,
    "qemu_silent",
    "Timed out after %(seconds)s s waiting for QEMU to answer %(command)s.",
    "The process is frozen: stopped, or waiting for a dead disk. The limit is `[qemu] command_timeout`.",
    _WARNING,
)
LIBVIRT_FAILED = kind(
    _G,
    "libvirt_failed",
    "libvirt: %(text)s",
    "Check that libvirtd runs, and that the agent's user may connect to `[qemu] libvirt_uri`.",
    _WARNING,
    private="text",
    public="libvirt failed on the host.",
)
FENCE_PORT = kind(
    _G,
    "fence_port",
    "UDP port %(port)s: %(text)s.",
    "See [fencing](#fencing).",
    _WARNING,
    private="text",
    public="UDP port %(port)s cannot be used.",
)
AGENT_INTERNAL_ERROR = kind(
    _G,
    "agent_internal_error",
    "Internal error of the agent. See its log.",
    "Search the log of nova-colo-agent on the primary's host for *Failed to protect server*. The engine "
    "retries.",
    _ERROR,
)

# --- unmet requirements of a host; only for callers who may see hosts

_G = Group.HOST
HOST_NO_ADDRESS = kind(
    _G,
    "host_no_address",
    "This host has no address in the replication network. Set [qemu] replication_address.",
    "Do that, and restart the agent.",
    _WARNING,
)
HOST_NO_PRIVILEGES = kind(
    _G,
    "host_no_privileges",
    "The agent cannot gain privileges: %(text)s.",
    "Add the rule for sudo: see [users](install.md#users-and-privileges). The agent's log has what sudo "
    "said.",
    _WARNING,
    private="text",
    public="The agent cannot gain privileges.",
)
HOST_NO_RUNTIME_DIRECTORY = kind(
    _G,
    "host_no_runtime_directory",
    "The agent may not create files in %(path)s.",
    "Create the folder for the agent's user, in systemd by `RuntimeDirectory=`: see "
    "[users](install.md#users-and-privileges). It is `[qemu] runtime_directory`.",
    _WARNING,
    private="path",
    public="The agent may not create files in its runtime directory.",
)
TLS_MISSING = kind(
    _G,
    "tls_missing",
    "TLS files are missing in %(folder)s: %(files)s.",
    "Install them there: see [certificates](install.md#certificates).",
    _WARNING,
    private="files folder",
    public="TLS files are missing.",
)
TLS_UNREADABLE = kind(
    _G,
    "tls_unreadable",
    "The TLS certificate %(path)s cannot be read: %(text)s.",
    "It must be in PEM format, and readable by the agent's user and QEMU's.",
    _WARNING,
    private="path text",
    public="A TLS certificate cannot be read.",
)
TLS_EXPIRED = kind(
    _G,
    "tls_expired",
    "The TLS certificate %(path)s is only valid from %(begins)s to %(ends)s UTC.",
    "Renew it. No restart is needed. Existing pairs keep using the old one.",
    _WARNING,
    private="path begins ends",
    public="A TLS certificate is not valid now.",
)
TLS_OTHER_ADDRESS = kind(
    _G,
    "tls_other_address",
    "The TLS certificate %(path)s is not for %(address)s: it has no such IP address among its alternative "
    "names.",
    "Have it issued for this host's `[qemu] replication_address`.",
    _WARNING,
    private="path address",
    public="A TLS certificate is not for this host.",
)
QEMU_LACKS = kind(
    _G,
    "qemu_lacks",
    "QEMU %(version)s has no %(name)s.",
    "QEMU was built without what COLO needs (`--enable-replication`, `--enable-colo-proxy`), or is too "
    "old. Install another package.",
    _WARNING,
    private="version name",
    public="QEMU lacks a feature that COLO needs.",
)
QEMU_BROKEN = kind(
    _G,
    "qemu_broken",
    "COLO is known to be broken in QEMU %(version)s. Use 7.2 to 9.2, or 10.2 and later.",
    "Do that. `[qemu] allow_unsuitable_versions` overrides the check, at the guests' risk.",
    _WARNING,
    private="version",
    public="COLO is known to be broken in this QEMU.",
)
QEMU_UNKNOWN = kind(
    _G,
    "qemu_unknown",
    "Querying QEMU's capabilities failed: %(text)s.",
    "Check that `qemu-system-x86_64` is installed and that the agent may run it.",
    _WARNING,
    private="text",
    public="Querying QEMU's capabilities failed.",
)
LIBVIRTD_SILENT = kind(
    _G,
    "libvirtd_silent",
    "libvirtd does not answer: %(text)s.",
    "Start libvirtd. The agent reconnects, and restarts itself if it must; guests keep running meanwhile.",
    _WARNING,
    private="text",
    public="libvirtd does not answer.",
)
LIBVIRTD_STUCK = kind(
    _G,
    "libvirtd_stuck",
    "libvirtd has not answered for %(seconds)s s.",
    "As for `libvirtd_silent`.",
    _WARNING,
)
FENCED = kind(
    _G,
    "fenced",
    "Its nova-compute is forced down since the host was lost. Restart it there; it is up again once it "
    "has cleaned up.",
    "Restart nova-compute there: see [fencing](#fencing).",
    _WARNING,
)
AGENT_UNKNOWN = kind(
    _G,
    "agent_unknown",
    "No agent has ever reported from this host.",
    "Install nova-colo-agent there: see [installing](install.md).",
    _WARNING,
)

# --- errors of failovers and other operations

_G = Group.OPERATION
NO_SECONDARY_TO_RESUME = kind(
    _G,
    "no_secondary_to_resume",
    "%(host)s has no secondary that can resume.",
    "Nothing: it has exited, the primary continues, and a new secondary is created.",
    _WARNING,
    hosts="host",
)
GRANT_INVALID = kind(
    _G,
    "grant_invalid",
    "The grant for epoch %(epoch)s is no longer valid.",
    "Nothing: another failover came first.",
    _WARNING,
)
GRANT_GIVEN = kind(
    _G,
    "grant_given",
    "The grant for epoch %(epoch)s was already given to %(host)s.",
    "As for `grant_invalid`.",
    _WARNING,
    hosts="host",
)
GRANT_MISSED = kind(
    _G, "grant_missed", "Another grant was given in the meantime.", "As for `grant_invalid`.", _WARNING
)
MAY_NOT_RESUME = kind(
    _G,
    "may_not_resume",
    "%(host)s has no secondary of %(server)s that may resume in epoch %(epoch)s.",
    "Nothing, unless it recurs: the host has seen a later epoch.",
    _WARNING,
    hosts="host",
)
WRONG_EPOCH = kind(
    _G,
    "wrong_epoch",
    "%(host)s is %(role)s of %(server)s in epoch %(epoch)s, not %(wanted)s.",
    "As for `may_not_resume`.",
    _WARNING,
    hosts="host",
)
RUNS_ITSELF = kind(
    _G,
    "runs_itself",
    "%(host)s itself runs %(server)s, in epoch %(epoch)s.",
    "Nothing, unless it recurs: a secondary was to be created on the host of the primary.",
    _WARNING,
    hosts="host",
)
NO_REPLICA = kind(
    _G,
    "no_replica",
    "%(host)s has no replica of %(server)s.",
    "Nothing: the mode was set for a pair that has just ended.",
    _WARNING,
    hosts="host",
)
NOT_THE_PRIMARY = kind(
    _G,
    "not_the_primary",
    "%(host)s is no longer the primary of %(server)s in epoch %(epoch)s.",
    "Nothing: Nova restarted the guest in the meantime. The failover is abandoned and a new secondary is "
    "created.",
    _WARNING,
    hosts="host",
)
SERVICE_ERROR = kind(
    _G,
    "service_error",
    "%(service)s answered %(status_code)s: %(text)s",
    "The error message of Nova or Placement. 403: the engine's user lacks the admin role. 409 during a "
    "move: check the server's task state, and nova-compute on both hosts.",
    _WARNING,
    private="text",
    public="%(service)s answered %(status_code)s.",
)
SERVICE_SILENT = kind(
    _G,
    "service_silent",
    "%(service)s does not answer.",
    "Nova, Placement or Keystone is unavailable, or `[nova]` or `[placement]` names the wrong endpoint. "
    "The engine retries.",
    _WARNING,
)
NOVA_DID_NOT_FOLLOW = kind(
    _G,
    "nova_did_not_follow",
    "Moving Nova's records to %(host)s failed (request %(request)s).",
    "Run `openstack server event show SERVER REQUEST`, and see the log of nova-compute on that host and of "
    "nova-conductor.",
    _WARNING,
    hosts="host",
)
DISKS_TIMEOUT = kind(
    _G,
    "disks_timeout",
    "Timed out after %(seconds)s s waiting for the server's disk to be completed after the failover.",
    "The guest runs. Check whether the disk of its host is full or broken: what the guest has written is in "
    "`*.colo-active` and `*.colo-hidden` beside it until then. Never delete these files. QEMU does not "
    "repeat what has failed: when there is free space again, end it once (`virsh destroy`). The agent "
    "then completes the disk, and the engine restarts the server.",
    _WARNING,
)
RECORDS_TIMEOUT = kind(
    _G,
    "records_timeout",
    "Timed out after %(seconds)s s waiting for Nova to move the server's records.",
    "As for `nova_did_not_follow`. The limit is `[engine] records_timeout`.",
    _WARNING,
)
TASK_TIMEOUT = kind(
    _G,
    "task_timeout",
    "Timed out after %(seconds)s s waiting for the current task of the server in Nova.",
    "A task of the server does not finish: see `openstack server show`.",
    _WARNING,
)
RESTART_TIMEOUT = kind(
    _G,
    "restart_timeout",
    "Timed out after %(seconds)s s waiting for the server to restart.",
    "As for `task_timeout`.",
    _WARNING,
)
RUNS_AGAIN = kind(
    _G,
    "runs_again",
    "The guest on %(host)s was started again.",
    "Nothing: it had powered itself off just before.",
    _WARNING,
    hosts="host",
)
STOP_TIMEOUT = kind(
    _G,
    "stop_timeout",
    "Timed out after %(seconds)s s waiting for Nova to stop the server.",
    "Its guest has powered itself off. Check nova-compute on its host.",
    _WARNING,
)
MODE_FAILED = kind(
    _G,
    "mode_failed",
    "The mode could not be set to %(mode)s: %(error)s",
    "See the error. The mode is unchanged.",
    _WARNING,
)

# --- events

_G = Group.EVENT
REPORTED = kind(Group.PART, "reported", "Reported by %(host)s: %(signs)s", hosts="host")
NOTICED = kind(
    _G,
    "noticed",
    "A replica counts as lost. %(signs)s",
    "The signs that the agents had reported by then. The root cause is among them: see the reasons of the "
    "replication link.",
    _WARNING,
)
FAILOVER_REQUESTED = kind(_G, "failover_requested", "Failover accepted: %(reason)s.", "A user requested it.")
FAILED_OVER = kind(
    _G,
    "failed_over",
    "Failed over from %(source)s to %(target)s: %(reason)s.",
    "The secondary runs and the service is back.",
    _WARNING,
    hosts="source target",
    public="Failed over to the secondary: %(reason)s.",
)
RECORDS_FOLLOWED = kind(
    _G,
    "records_followed",
    "Nova's records now name %(host)s.",
    "The failover is complete.",
    hosts="host",
    public="Nova's records now name the server's new host.",
)
FAILOVER_UNDONE = kind(
    _G,
    "failover_undone",
    "The failover failed, nothing has changed: %(error)s",
    "See the error.",
    _ERROR,
)
FAILOVER_RETURNED = kind(
    _G,
    "failover_returned",
    "The failover failed, the server runs on %(host)s again: %(error)s",
    "The grant was returned. See the error.",
    _ERROR,
    hosts="host",
    public="The failover failed, the server runs on its former host again: %(error)s",
)
PROTECTION_REQUESTED = kind(_G, "protection_requested", "Protection was requested.", "")
PROTECTION_RESUMED = kind(_G, "protection_resumed", "Protection was resumed on request.", "")
REMOVAL_REQUESTED = kind(_G, "removal_requested", "The removal of protection was requested.", "")
SUSPENSION_REQUESTED = kind(_G, "suspension_requested", "The suspension of protection was requested.", "")
PROTECTED = kind(
    _G,
    "protected",
    "Protected: the secondary runs on %(host)s. %(more)s",
    "",
    hosts="host",
    public="Protected: primary and secondary are in sync. %(more)s",
)
PAUSED_FOR = kind(
    _G,
    "paused_for",
    "The guest was paused for %(ms)s ms.",
    "The end of `protected`: how long the guest was paused in total while the secondary was created.",
)
NO_TEST_RETURN = kind(
    _G,
    "no_test_return",
    "The test failover does not return to %(host)s, which has no capacity or is unavailable.",
    "The end of `protected`: the server stays where it is.",
    hosts="host",
    public="The test failover does not return to its former host, which has no capacity or is unavailable.",
)
REQUEST_CANCELLED = kind(
    _G,
    "request_cancelled",
    "Request cancelled: a host of the pair failed before it started.",
    "A move or a mode change that was queued. Request it again.",
    _WARNING,
)
MOVE_REQUESTED = kind(_G, "move_requested", "A move of the secondary was requested.", "")
MOVED = kind(
    _G,
    "moved",
    "The secondary was moved from %(old)s to %(new)s.",
    "",
    hosts="old new",
    public="The secondary was moved to another host.",
)
MODE_REQUESTED = kind(_G, "mode_requested", "Mode %(mode)s was requested.", "")
MODE_SET = kind(_G, "mode_set", "The mode is %(mode)s.", "")
MODE_CHANGED = kind(
    _G,
    "mode_changed",
    "The pair switched to mode %(mode)s under policy %(policy)s.",
    "Replies kept differing, or COLO is tried again: `[qemu] hybrid_run`, `hybrid_wait`, `hybrid_max_wait`.",
)
SECONDARY_GIVEN_UP = kind(
    _G,
    "secondary_given_up",
    "Secondary lost: %(reason)s. The primary on %(host)s runs unprotected.",
    "A new secondary is created.",
    _WARNING,
    hosts="host",
)
NOT_PROTECTED = kind(
    _G, "not_protected", "The server could not be protected: %(error)s", "See the error.", _WARNING
)
RESERVATION_REPAIRED = kind(
    _G,
    "reservation_repaired",
    "The reservation of the secondary on %(host)s was missing or wrong in Placement and was repaired.",
    "See [reservations](#reservations-in-placement).",
    _WARNING,
    hosts="host",
)
RESERVATION_LOST = kind(
    _G,
    "reservation_lost",
    "The reservation of the secondary on %(host)s is missing in Placement and its capacity is taken. Move "
    "a server away from there, or move the secondary.",
    "Do that.",
    _ERROR,
    hosts="host",
)
RESERVATION_REMOVED = kind(
    _G,
    "reservation_removed",
    "An orphaned reservation was removed from Placement.",
    "",
    _WARNING,
)

# --- refusals

_G = Group.REFUSAL
WAIT_FAILOVER = kind(
    _G, "wait_failover", "A failover of this server is in progress. Wait until it has finished."
)
WAIT_STARTING = kind(
    _G, "wait_starting", "The secondary is still being created. Wait until the server is protected."
)
WAIT_RECORDS = kind(
    _G,
    "wait_records",
    "Nova's records are still being updated after a failover of this server. Wait until they name its new "
    "host.",
)
WAIT_BUSY = kind(
    _G, "wait_busy", "Another operation on this server's pair is in progress. Wait until it has finished."
)
MOVED_TOO_OFTEN = kind(
    _G,
    "moved_too_often",
    "A secondary of the server was created %(number)s times within an hour. Move it later.",
)
NO_HEALTHY_SECONDARY = kind(
    _G,
    "no_healthy_secondary",
    "The server has no healthy secondary to fail over to. Wait until it is protected again, or free capacity "
    "on another host.",
)
NOT_PROTECTED_FORCE = kind(
    _G,
    "not_protected_force",
    "The pair is %(state)s, not protected. Wait until it is protected, or force the failover.",
)
NOT_PROTECTED_YET = kind(
    _G, "not_protected_yet", "The pair is %(state)s, not protected. Wait until it is protected."
)
RESUME_FIRST = kind(_G, "resume_first", "The server's protection is suspended. Resume protection first.")
RESUME_INSTEAD = kind(
    _G, "resume_instead", "The server's protection is suspended. Resume protection instead."
)
SUSPENDED_ALREADY = kind(_G, "suspended_already", "The server's protection is already suspended.")
NOT_SUSPENDED = kind(_G, "not_suspended", "The server's protection is not suspended.")
PROTECT_FIRST = kind(_G, "protect_first", "The server is unprotected. Protect it first.")
UNPROTECTED_ALREADY = kind(_G, "unprotected_already", "The server is already unprotected.")
PROTECTED_ALREADY = kind(_G, "protected_already", "The server is already protected.")
PRIMARY_IS_THERE = kind(
    _G, "primary_is_there", "The primary runs on %(host)s. Name another host, or none.", own="host"
)
SECONDARY_IS_THERE = kind(
    _G, "secondary_is_there", "The secondary is already on %(host)s. Name another host, or none.", own="host"
)
HOST_AGENT_SILENT = kind(
    _G,
    "host_agent_silent",
    "The nova-colo-agent on %(host)s does not answer. Start it, or name another host.",
    own="host",
)
HOST_INCAPABLE = kind(
    _G, "host_incapable", "Host %(host)s cannot carry a secondary: %(reasons)s Name another host.", own="host"
)
HOST_UNKNOWN = kind(
    _G, "host_unknown", "Host %(host)s has no nova-colo-agent. Name a host that has one.", own="host"
)
CANNOT_BE_FT = kind(
    _G,
    "cannot_be_fault_tolerant",
    "The server cannot be fault tolerant. %(problems)s",
    "See [what cannot be fault tolerant](actions.md#what-cannot-be-fault-tolerant).",
)
NO_PAIR_YET = kind(
    _G,
    "no_pair_yet",
    "Instance %(server)s has no secondary yet. Wait until it is protected.",
    "The engine has not processed the server yet.",
)
NOT_FAULT_TOLERANT = kind(
    _G,
    "not_fault_tolerant",
    "Instance %(server)s is not fault tolerant. Resize it to a flavor with the extra spec ft:enabled=1.",
)
LOCKED = kind(_G, "locked", "Instance %(server)s is locked. Unlock it first.")

#: Refusals for lack of a role, by the action's name in the API.
NOT_ALLOWED = {
    action: kind(_G, f"not_allowed_{action.replace('-', '_')}", f"Your role does not allow you to {deed}.")
    for action, deed in {
        "failover": "fail this server over",
        "ft-protect": "protect this server",
        "ft-unprotect": "remove this server's protection",
        "ft-suspend": "suspend this server's protection",
        "ft-resume": "resume this server's protection",
        "ft-test-failover": "test this server's failover",
        "ft-migrate-secondary": "move this server's secondary",
        "ft-set-mode": "set this server's mode",
    }.items()
}

# --- stages of creating a secondary; a pair's progress has the code

_G = Group.STAGE
FINDING_HOST = kind(_G, "finding_host", "finding a host")
MAKING = kind(_G, "making", "creating the secondary")
REMOVING = kind(_G, "removing", "removing the secondary")
WAITING_FOR_PRIMARY = kind(_G, "waiting_for_primary", "waiting for the primary")
COPYING = kind(_G, "copying", "copying disk and memory")
COPYING_DISKS = kind(_G, "copying_disks", "copying disks")
SENDING_MEMORY = kind(_G, "sending_memory", "sending memory")


def stage(code: str) -> str:
    """Return the name of a stage of a pair's progress, or the code itself when it is unknown."""
    known = CATALOGUE.get(code)
    return known.template if known is not None and known.group == Group.STAGE else code
