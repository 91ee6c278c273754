# SPDX-License-Identifier: Apache-2.0
"""The catalogue of reasons: every sentence that people read about a pair, with what an operator does about it.

To add a reason, add a line here and its German text to the dashboard's catalogue of messages (``make messages``); the operator's
guide, the dashboard's sentences and the API follow by themselves.
"""

from nova_colo.pair.reason import CATALOGUE, Group, Kind, Reason, Severity, kind, read, read_all

__all__ = ["CATALOGUE", "Group", "Kind", "Reason", "Severity", "read", "read_all"]

_WARNING, _ERROR = Severity.WARNING, Severity.ERROR

# --- what people and programs have asked for, and what was lost: parts of other sentences

_G = Group.CAUSE
REQUESTED = kind(_G, "requested", "requested", "somebody has asked; the event names the request and the user")
REQUESTED_BY_FORCE = kind(
    _G, "requested_by_force", "requested by force", "the same, though the pair was not protected"
)
TEST_REQUESTED = kind(_G, "test_requested", "a test failover was requested", "somebody has asked for it")
TEST_RETURN = kind(
    _G,
    "test_return",
    "the return to %(host)s from a test failover",
    'the second half of `{"ft-test-failover": {"return": true}}`',
    hosts="host",
)
HOST_LOST = kind(
    _G,
    "host_lost",
    "host %(host)s is lost",
    "its agent is silent *and* its peer has lost the replication link to it",
    hosts="host",
)
PRIMARY_ENDED = kind(
    _G,
    "primary_ended",
    "the primary QEMU on %(host)s ended",
    "the host lives, the guest's process does not: look for the kernel's OOM killer, and into QEMU's log",
    hosts="host",
)
SECONDARY_HOST_LOST = kind(
    _G,
    "secondary_host_lost",
    "the secondary's host %(host)s is lost",
    "the replication link is down, and the agent there is silent too",
    hosts="host",
)
LINK_LOST = kind(
    _G,
    "link_lost",
    "the replication link to %(host)s is lost",
    "the link is down, the agent there answers",
    hosts="host",
)
SECONDARY_ENDED = kind(
    _G, "secondary_ended", "the secondary QEMU on %(host)s ended", "as for the primary", hosts="host"
)
BOTH_ENDED = kind(_G, "both_ended", "both QEMUs of the pair ended", "a double fault")
HOST_AND_SECONDARY_LOST = kind(
    _G,
    "host_and_secondary_lost",
    "host %(host)s is lost and the secondary QEMU ended",
    "a double fault",
    hosts="host",
)
ALONE_ENDED = kind(
    _G,
    "alone_ended",
    "the guest on %(host)s ended and has no secondary",
    "it had no secondary when its process ended",
    hosts="host",
)
ENDED_BEFORE_RECORDS = kind(
    _G,
    "ended_before_records",
    "the guest on %(host)s ended before Nova's records had followed to it",
    "a double fault in the seconds after a failover: see [a failover that is stuck](#a-failover-that-is-stuck)",
    hosts="host",
)
WAITS_FOR_LOST_PEER = kind(
    _G,
    "waits_for_lost_peer",
    "the primary on %(host)s still waits for a secondary that it has lost",
    "an interrupted unprotect, mended by the engine",
    hosts="host",
)
RECORDS_OUTDATED = kind(
    _G,
    "records_outdated",
    "Nova's records still name %(host)s",
    "a failover whose records have not followed yet",
    hosts="host",
)
RECORDS_IN_ERROR = kind(
    _G,
    "records_in_error",
    "the server runs on %(host)s and Nova has it in ERROR",
    "a move of Nova's records whose last step failed, as when a nova-compute was restarted in the middle of it; the engine sets "
    "the server active",
    hosts="host",
)

# --- why a pair is in its state

_G = Group.STATE
OTHER = kind(
    _G,
    "other",
    "%(text)s",
    "text of a release that had no codes",
    private="text",
    public="The reason is shown to operators only.",
)
WAITING = kind(
    _G,
    "waiting",
    "The server waits for its secondary.",
    "nothing; it is `starting` within seconds. If not: is an engine active?",
)
MAKING_SECONDARY = kind(_G, "making_secondary", "A secondary is being made.", "wait")
REMOVING_SECONDARY = kind(_G, "removing_secondary", "The secondary is being removed.", "wait a second")
MOVING_SECONDARY = kind(
    _G,
    "moving_secondary",
    "The secondary is being moved.",
    "wait; the server has no secondary for a part of that time",
)
NOT_ACTIVE = kind(
    _G,
    "not_active",
    "The server is %(status)s. It is protected again when it is ACTIVE.",
    "start the server when it is wanted; its capacity stays reserved while it is `SHUTOFF`, paused or suspended, and is given "
    "back while it is shelved",
)
UNPROTECTED_ON_REQUEST = kind(
    _G,
    "unprotected_on_request",
    "Protection was removed on request. Protect the server with ft-protect.",
    "nothing",
)
SUSPENDED_ON_REQUEST = kind(
    _G, "suspended_on_request", "Protection is suspended on request. Resume it with ft-resume.", "nothing"
)
SUSPENDED = kind(_G, "suspended", "Protection is suspended.", "nothing")
LEAVING = kind(
    _G,
    "leaving",
    "The guest on %(host)s is being restarted, replaced or stopped by Nova.",
    "nothing: somebody reboots, rebuilds or stops the server. Nova waits until its secondary is given up, 60 s at most (`[colo] "
    "leave_timeout`)",
    hosts="host",
)
REPLACED = kind(
    _G,
    "replaced",
    "The guest on %(host)s was restarted or replaced. A new secondary is made.",
    "nothing: Nova has rebooted or rebuilt it",
    hosts="host",
)
FAILING_OVER = kind(_G, "failing_over", "Failing over: %(reason)s.", "wait")
FAILED_OVER_RECORDS = kind(
    _G,
    "failed_over_records",
    "Failed over: %(reason)s. Nova's records are following.",
    "wait; the server runs on its new host already",
    _WARNING,
)
FAILED_OVER_ALONE = kind(
    _G,
    "failed_over_alone",
    "Failed over: %(reason)s. The server runs without a secondary until it is protected again.",
    "nothing; a new secondary follows. If it does not, the reason becomes one of the next table's",
    _WARNING,
)
RUNNING_ALONE = kind(_G, "running_alone", "Going on alone: %(reason)s.", "wait a second", _WARNING)
SECONDARY_LOST = kind(
    _G,
    "secondary_lost",
    "Secondary lost: %(reason)s. The server runs without a secondary until it is protected again.",
    "see to the host that is named; a new secondary follows",
    _WARNING,
)
NO_SECONDARY = kind(_G, "no_secondary", "The server runs without a secondary.", "as above", _WARNING)
NO_AUTO_REPROTECT = kind(
    _G,
    "no_auto_reprotect",
    "The secondary was lost and the flavor says ft:auto_reprotect=0. Protect the server with ft-protect.",
    "find out why it was lost, then `ft-protect`",
    _WARNING,
)
FAILOVER_FAILED = kind(
    _G,
    "failover_failed",
    "The failover failed: %(error)s",
    "nothing has changed; see the error, try again",
    _ERROR,
)
FAILOVER_FAILED_ALONE = kind(
    _G,
    "failover_failed_alone",
    "The failover failed: %(error)s The server runs without a secondary until it is protected again.",
    "it runs on its old host; see the error",
    _ERROR,
)
FAILOVER_STUCK = kind(
    _G,
    "failover_stuck",
    "The failover is not finished: %(error)s",
    "**at once**: the grant was given and it is not sure that the secondary runs. Bring the agents of both hosts up; the engine "
    "then goes on by itself. See [a failover that is stuck](#a-failover-that-is-stuck)",
    _ERROR,
)
RECORDS_STUCK = kind(
    _G,
    "records_stuck",
    "The server runs, but Nova's records do not follow: %(error)s",
    "users are served; Nova names the old host. It is tried again by itself, less and less often. See "
    "[records that do not follow](#records-that-do-not-follow)",
    _ERROR,
)
NOT_RUNNING = kind(
    _G,
    "not_running",
    "Not running: %(reason)s.",
    "both replicas are gone. When the host that is named is back, the engine has Nova reboot the server; when it will not come "
    "back: `openstack server evacuate`, as without fault tolerance (its disk is made from its image again, unless on shared "
    "storage)",
    _ERROR,
)
NOT_RUNNING_RESTARTING = kind(
    _G,
    "not_running_restarting",
    "Not running: %(reason)s. It is being restarted.",
    "wait: the engine has Nova reboot the server; its memory is lost. Find out why its guest ended",
    _ERROR,
)
NOT_RUNNING_WAITING = kind(
    _G,
    "not_running_waiting",
    "Not running: %(reason)s. It is restarted there when they have followed.",
    "wait: see [a failover that is stuck](#a-failover-that-is-stuck)",
    _ERROR,
)
NOT_RUNNING_STUCK = kind(
    _G,
    "not_running_stuck",
    "Not running: %(reason)s, and they do not follow: %(error)s",
    "as for [records that do not follow](#records-that-do-not-follow); it is restarted as soon as they have",
    _ERROR,
)
RESTARTED = kind(
    _G,
    "restarted",
    "The server was restarted: %(reason)s.",
    "its memory was lost; find out why both replicas ended",
    _ERROR,
)
NOT_MOVED = kind(
    _G,
    "not_moved",
    "The secondary was not moved: %(error)s",
    "if it is still protected it has its old secondary; see the error",
    _WARNING,
)
UNPROTECT_FAILED = kind(
    _G,
    "unprotect_failed",
    "Protection could not be taken off: %(error)s",
    "it is tried again by itself",
    _WARNING,
)
INTERNAL_ERROR = kind(
    _G,
    "internal_error",
    "Internal error in operation %(operation)s. See the log of nova-colo-engine.",
    "look for the id in the engine's log; tried again by itself",
    _ERROR,
)
PAIR_IS = kind(_G, "pair_is", "The pair is %(state)s.", "wait", _WARNING)

# --- how the replication of a protected pair does

_G = Group.LINK
AGENT_SILENT = kind(
    _G,
    "agent_silent",
    "The agent on %(host)s does not answer.",
    "nothing is wrong with the pair yet, but a failover could not be asked of that host. Start the agent; does the host reach "
    "RabbitMQ?",
    _WARNING,
    hosts="host",
)
LINK_UNKNOWN = kind(
    _G,
    "link_unknown",
    "Nothing is known of the replication link yet.",
    "wait a few seconds; if it stays: does the agent reach its QEMU?",
    _WARNING,
)
PEER_SILENT = kind(
    _G,
    "peer_silent",
    "The peer's host has not answered on the replication network for %(seconds)s s.",
    "see to the replication network between the two hosts",
    _ERROR,
)
LINK_DISCONNECTED = kind(
    _G,
    "link_disconnected",
    "Replication is disconnected: %(sockets)s.",
    "nothing: the replica that is left goes on alone. See to the host of the one that is lost",
    _ERROR,
)
LINK_STUCK = kind(
    _G,
    "link_stuck",
    "Replication is stuck: a checkpoint is %(seconds)s s late.",
    "the peer's QEMU does not answer though its host does: is it frozen, or its host out of CPU or memory?",
    _ERROR,
)
CHECKPOINT_LATE = kind(
    _G,
    "checkpoint_late",
    "A checkpoint is %(seconds)s s late.",
    "a loaded host or network; look again",
    _WARNING,
)
DEVICES_OFF = kind(
    _G,
    "devices_off",
    "The secondary cannot use %(devices)s before the next checkpoint.",
    "the guest has booted, and what QEMU left of that on the secondary was just cleared. If it comes again and again, restart "
    "the server hard",
    _WARNING,
    private="devices",
    public="The secondary cannot use some of its devices before the next checkpoint.",
)
FENCE_UNARMED = kind(
    _G,
    "fence_unarmed",
    "The primary cannot be ended from its peer's host: %(error)s",
    "the agent must run as root or as QEMU does, and nobody else may have that port: see [fencing](#fencing)",
    _WARNING,
)
PAUSES_LONG = kind(
    _G,
    "pauses_long",
    "Checkpoint pauses are long: p99 %(ms)s ms.",
    "clients notice. The guest writes more memory between two checkpoints than the network carries quickly: a faster replication "
    "network, `quickack 1` on its routes, a shorter `ft:checkpoint_interval_ms`",
    _WARNING,
)
MISMATCH_STORM = kind(
    _G,
    "mismatch_storm",
    "A mismatch storm: replies differ %(number)s times a minute.",
    "the two replicas do not answer alike (several threads, random numbers, times in replies): mode `hybrid` or `checkpoint` "
    "suits this server better",
    _WARNING,
)

# --- why a server could not be protected

_G = Group.PROTECTION
NO_CAPACITY = kind(
    _G,
    "no_capacity",
    "Needs a secondary: no other host has %(memory_mb)s MB of RAM free. Free capacity, enable a host or move a server.",
    "Placement has no other enabled host with the flavor's vCPUs and disk, its RAM twice and its required traits, in the "
    "availability zone of the primary",
    _WARNING,
)
NO_HEALTHY_HOST = kind(
    _G,
    "no_healthy_host",
    "Needs a secondary: no other host with free capacity has a healthy nova-colo-agent and a nova-compute that is not forced "
    "down. Start them there.",
    "hosts with capacity are there; see why `GET /os-fault-tolerance/hosts` says that their agent is down, that they are not "
    "capable or that they are [fenced](#fencing)",
    _WARNING,
)
HOST_NO_CAPACITY = kind(
    _G,
    "host_no_capacity",
    "%(host)s is not enabled or has no %(memory_mb)s MB of RAM free. Free capacity there, or name another host.",
    "of a secondary that is to move to a host by name",
    _WARNING,
    hosts="host",
)
HOST_UNHEALTHY = kind(
    _G,
    "host_unhealthy",
    "The agent on %(host)s is not healthy, or nova-compute is forced down. Start it, or name another host.",
    "the same",
    _WARNING,
    hosts="host",
)
AGENT_TIMEOUT = kind(
    _G,
    "agent_timeout",
    "The agent on %(host)s did not answer.",
    "within `[engine] agent_timeout`: is it stuck? is RabbitMQ slow?",
    _WARNING,
    hosts="host",
)
AGENT_REFUSED = kind(
    _G,
    "agent_refused",
    "%(host)s: %(error)s",
    "what an agent says, after the name of its host; see the error",
    _WARNING,
    hosts="host",
)
AGENT_FAILED = kind(
    _G,
    "agent_failed",
    "%(host)s: %(text)s",
    "an error that the agent has not worded itself, after the name of its host; its log has more",
    _WARNING,
    hosts="host",
    private="text",
    public="The agent on %(host)s failed. Its log says why.",
)
GUEST_ENDED = kind(
    _G,
    "guest_ended",
    "The guest on %(host)s ended while its secondary was made.",
    "the server itself has ended: look there first",
    _WARNING,
    hosts="host",
)
LINK_LOST_MAKING = kind(
    _G,
    "link_lost_making",
    "The replication link to %(host)s was lost.",
    "the network between the two hosts, or the secondary's process",
    _WARNING,
    hosts="host",
)
SYNC_TIMEOUT = kind(
    _G,
    "sync_timeout",
    "The first synchronisation has not ended within %(seconds)s s.",
    "raise `[engine] protect_timeout` for large guests or slow links",
    _WARNING,
)
NOT_FT = kind(_G, "not_ft", "The server is no FT server any more.", "it was deleted or resized meanwhile")
NO_SERVER = kind(_G, "no_server", "Nova has no server %(server)s.", "the same, of a strict build", _WARNING)
GUEST_NOT_RUNNING = kind(
    _G,
    "guest_not_running",
    "The guest of %(server)s does not run on %(host)s.",
    "Nova says `ACTIVE` and its process is not there",
    _WARNING,
    hosts="host",
)
PEER_NOT_REACHED = kind(
    _G,
    "peer_not_reached",
    "%(host)s does not reach the secondary of %(server)s on %(other)s.",
    "the network between the two",
    _WARNING,
    hosts="host other",
)
WRONG_HOST = kind(
    _G,
    "wrong_host",
    "The secondary of %(server)s belongs on %(other)s, this is %(host)s.",
    "`[DEFAULT] host` is the same on two agents",
    _WARNING,
    hosts="host other",
)
NO_SECONDARY_HERE = kind(
    _G,
    "no_secondary_here",
    "There is no secondary of %(server)s on %(host)s.",
    "it has ended meanwhile",
    _WARNING,
    hosts="host",
)

# --- what QEMU, libvirt and the agent that drives them say

_G = Group.BACKEND
DISKS_NOT_CARRIED = kind(
    _G,
    "disks_not_carried",
    "Disks that COLO cannot carry: %(disks)s. It carries raw and qcow2 files on virtio or SCSI.",
    "volumes, network disks, shared disks, IDE and SATA are not carried: make the server from an image, with the default bus, or "
    "take it off its FT flavor. Several disks: all must fit",
    _WARNING,
    private="disks",
    public="The server has disks that COLO cannot carry. It carries raw and qcow2 files on virtio or SCSI.",
)
NO_DISK = kind(
    _G,
    "no_disk",
    "The guest has no disk that could be replicated.",
    "it boots from the network or from a CD only",
    _WARNING,
)
NIC_NOT_CARRIED = kind(
    _G,
    "nic_not_carried",
    "COLO cannot carry network card %(mac)s (%(model)s). It carries virtio cards on a bridge or tap.",
    "no SR-IOV, vhost-user or emulated cards: another port, or `hw_vif_model=virtio` on the image. `vhost`: the kernel carries "
    "its packets past QEMU. The server was started before its host had `colo.ColoLibvirtDriver`: reboot it hard. Without Nova: "
    "`<driver name='qemu'/>` in the card's XML",
    _WARNING,
    private="mac model",
    public="The server has a network card that COLO cannot carry. It carries virtio cards on a bridge or tap.",
)
GUEST_DIFFERS = kind(
    _G,
    "guest_differs",
    "On %(host)s the guest would look different. %(differences)s.",
    "the two hosts must give a guest the same machine, CPU and devices: the same `[libvirt] cpu_mode` and `cpu_models` on both, "
    "the same release of QEMU and libvirt, no devices of one host only. Each difference is named, the primary's first",
    _WARNING,
    hosts="host",
    private="differences",
    public="On %(host)s the guest would look different.",
)
MEDIUM_TOO_LARGE = kind(
    _G,
    "medium_too_large",
    "COLO cannot carry the read-only medium %(path)s: it is larger than %(limit_mb)s MiB. Detach it.",
    "config drives and small CD images are copied to the secondary's host; a large one is not",
    _WARNING,
    private="path",
    public="COLO cannot carry a read-only medium that is larger than %(limit_mb)s MiB. Detach it.",
)
FILE_UNREADABLE = kind(
    _G,
    "file_unreadable",
    "%(path)s cannot be read: %(text)s.",
    "a config drive or CD image that the agent may not read: let its user do so",
    _WARNING,
    private="path text",
    public="A read-only medium of the server cannot be read.",
)
FILE_IN_THE_WAY = kind(
    _G,
    "file_in_the_way",
    "There is another file already at %(path)s. Remove it, or find out whose it is.",
    "on the secondary's host, in the place of a config drive or CD image",
    _WARNING,
    private="path",
    public="There is another file already in the place of one of the secondary's.",
)
DISK_IN_THE_WAY = kind(
    _G,
    "disk_in_the_way",
    "There is a disk already, of %(found)s bytes instead of %(wanted)s. Remove it, or find out whose it is.",
    "nothing of somebody else's is overwritten. A disk of the right size is taken for what an earlier secondary has left, and is "
    "copied over",
    _WARNING,
)
BOOT_FILES_MISSING = kind(
    _G,
    "boot_files_missing",
    "%(host)s lacks files that the guest boots from: %(paths)s.",
    "kernel, initial RAM disk or firmware: install the same firmware package there",
    _WARNING,
    hosts="host",
    private="paths",
    public="%(host)s lacks files that the guest boots from.",
)
VIFS_NOT_PLUGGED = kind(
    _G,
    "vifs_not_plugged",
    "%(host)s cannot plug in the guest's network cards: %(text)s",
    "the os-vif plugin of the port's binding is not installed there, or not configured: the agent needs the same `[os_vif_*]` "
    "sections as nova-compute, and the rights: see [installing](install.md)",
    _WARNING,
    hosts="host",
    private="text",
    public="%(host)s cannot plug in the guest's network cards.",
)
GUEST_REFUSED = kind(
    _G,
    "guest_refused",
    "%(host)s cannot run the guest: %(text)s",
    "libvirt's own words: look into `/var/log/libvirt/qemu/` there. Often no memory, or a network or bridge that is missing",
    _WARNING,
    hosts="host",
    private="text",
    public="%(host)s cannot run the guest.",
)
IMAGE_TOOL_FAILED = kind(
    _G,
    "image_tool_failed",
    "qemu-img: %(text)s",
    "as it says; often the disk of that host is full",
    _WARNING,
    private="text",
    public="A disk of the secondary could not be made.",
)
PORTS_TAKEN = kind(
    _G,
    "ports_taken",
    "No TCP ports are free from %(first)s to %(last)s. Widen [qemu] port_min and port_max.",
    "each pair takes two for each network card on the primary's host and two on the secondary's",
    _WARNING,
)
NO_REPLICATION_ADDRESS = kind(
    _G,
    "no_replication_address",
    "%(host)s has no [qemu] replication_address.",
    "set it there and restart the agent",
    _WARNING,
    hosts="host",
)
NOT_DESCRIBED = kind(
    _G,
    "not_described",
    "%(host)s was not asked what the secondary of %(server)s must be like.",
    "its agent's state was lost meanwhile: nothing, unless it repeats",
    _WARNING,
    hosts="host",
)
QEMU_DOES_NOT_END = kind(
    _G,
    "qemu_does_not_end",
    "There is a QEMU of %(server)s on %(host)s that cannot be ended.",
    "a secondary was left there, and libvirt does not end it: is its process stuck in the kernel (state D)?",
    _WARNING,
    hosts="host",
)
NO_QEMU = kind(
    _G, "no_qemu", "There is no QEMU of the server on this host.", "it has ended meanwhile", _WARNING
)
DISK_NOT_SHOWN = kind(
    _G,
    "disk_not_shown",
    "QEMU does not show disk %(disk)s at %(path)s.",
    "this QEMU names its devices otherwise than libvirt says: report it, with both versions",
    _WARNING,
    private="disk path",
    public="QEMU does not show a disk of the server.",
)
NO_REPLICATION_NETWORK = kind(
    _G,
    "no_replication_network",
    "The secondary's host does not answer on the replication network.",
    "the replication network between the two: is the link up, does a firewall drop what goes to `[qemu] reach_port`? It must let "
    "it through, and refuse nothing in the host's name",
    _WARNING,
)
COPY_FAILED = kind(
    _G,
    "copy_failed",
    "The copy of a disk to the secondary's host has failed. Look into QEMU's log there.",
    "the network between the two, or the disk there is full or broken",
    _WARNING,
)
ENCRYPTION_DIFFERS = kind(
    _G,
    "encryption_differs",
    "One of two hosts encrypts only. Set [qemu] tls_x509_cert_dir on %(host)s and %(other)s, or on neither.",
    "do that, and restart the agent there",
    _WARNING,
    hosts="host other",
)
MEMORY_STALLED = kind(
    _G,
    "memory_stalled",
    "Memory transfer stalled for %(seconds)s s.",
    "the secondary's QEMU is frozen, or its host out of CPU or memory",
    _WARNING,
)
MEMORY_NOT_SENT = kind(
    _G,
    "memory_not_sent",
    "The guest's memory could not be sent to the secondary: %(text)s.",
    "QEMU's own words; more are in its log on either host. Often the network between the two",
    _WARNING,
    private="text",
    public="The guest's memory could not be sent to the secondary.",
)
NOT_RESUMED = kind(
    _G,
    "not_resumed",
    "The guest did not resume after the memory transfer.",
    "the first checkpoint has not ended: as for `link_stuck` above",
    _WARNING,
)
DISCONNECTED_NOT_RUNNING = kind(
    _G,
    "disconnected_not_running",
    "The guest does not run %(seconds)s s after it was disconnected from its secondary.",
    "**at once**: the guest may be paused. `virsh qemu-monitor-command ID --hmp info status`, and QEMU's log",
    _ERROR,
)
ALONE_NOT_RUNNING = kind(
    _G,
    "alone_not_running",
    "The guest does not run %(seconds)s s after it was told to go on alone.",
    "**at once**: the replica that holds the grant is paused; it is told again by itself. As above",
    _ERROR,
)
NEVER_IN_SYNC = kind(
    _G,
    "never_in_sync",
    "The secondary of %(server)s on %(host)s was never in sync with its primary.",
    "nothing: it has no memory to go on with, and is not promoted",
    _WARNING,
    hosts="host",
)
CREATION_ENDING = kind(
    _G,
    "creation_ending",
    "Creation of the secondary has not ended yet.",
    "nothing: it is being cancelled and tried again. If it stays, a QEMU waits for the other host: see to the "
    "replication network",
    _WARNING,
)
NOT_CONNECTED = kind(
    _G,
    "not_connected",
    "The secondary has not connected within %(seconds)s s.",
    "does a firewall on the replication network drop what goes to `[qemu] port_min` to `port_max`?",
    _WARNING,
)
CREATION_CANCELLED = kind(
    _G,
    "creation_cancelled",
    "Creation of the secondary was cancelled.",
    "nothing: its protection was removed meanwhile",
    _WARNING,
)
AGENT_RESTARTED = kind(
    _G,
    "agent_restarted",
    "The agent was restarted while the secondary was made.",
    "nothing: the copy begins anew",
    _WARNING,
)
QEMU_REFUSED = kind(
    _G,
    "qemu_refused",
    "QEMU refused %(command)s: %(text)s",
    "look into the agent's log and QEMU's; report it, with the version",
    _WARNING,
    private="text",
    public="QEMU refused %(command)s.",
)
QEMU_SILENT = kind(
    _G,
    "qemu_silent",
    "QEMU has not answered %(command)s within %(seconds)s s.",
    "the process is frozen (stopped, waiting for a dead disk): it counts as not running. `[qemu] command_timeout`",
    _WARNING,
)
LIBVIRT_FAILED = kind(
    _G,
    "libvirt_failed",
    "libvirt: %(text)s",
    "does libvirtd run? may the agent's user connect to `[qemu] libvirt_uri`?",
    _WARNING,
    private="text",
    public="libvirt failed on the host.",
)
FENCE_PORT = kind(
    _G,
    "fence_port",
    "UDP port %(port)s: %(text)s.",
    "see [fencing](#fencing)",
    _WARNING,
    private="text",
    public="UDP port %(port)s cannot be used.",
)
AGENT_INTERNAL_ERROR = kind(
    _G,
    "agent_internal_error",
    "Internal error of the agent. See its log.",
    "look for *could not be protected* in the log of nova-colo-agent on the primary's host; tried again by itself",
    _ERROR,
)

# --- what keeps a whole host from carrying replicas; for who may see hosts

_G = Group.HOST
HOST_NO_ADDRESS = kind(
    _G,
    "host_no_address",
    "This host has no address in the replication network. Set [qemu] replication_address.",
    "do that, and restart the agent",
    _WARNING,
)
TLS_MISSING = kind(
    _G,
    "tls_missing",
    "For TLS there is no %(files)s in %(folder)s.",
    "put them there; see [certificates](install.md)",
    _WARNING,
    private="files folder",
    public="Certificates for TLS are missing.",
)
TLS_UNREADABLE = kind(
    _G,
    "tls_unreadable",
    "The TLS certificate %(path)s cannot be read: %(text)s.",
    "it must be in PEM, and readable by the agent's user and QEMU's",
    _WARNING,
    private="path text",
    public="A TLS certificate cannot be read.",
)
TLS_EXPIRED = kind(
    _G,
    "tls_expired",
    "The TLS certificate %(path)s is valid from %(begins)s to %(ends)s UTC only.",
    "renew it; no restart is needed. Pairs that are there run on with the old one",
    _WARNING,
    private="path begins ends",
    public="A TLS certificate is not valid now.",
)
TLS_OTHER_ADDRESS = kind(
    _G,
    "tls_other_address",
    "The TLS certificate %(path)s is not for %(address)s: it has no such IP address among its alternative names.",
    "have it issued for this host's `[qemu] replication_address`",
    _WARNING,
    private="path address",
    public="A TLS certificate is not for this host.",
)
QEMU_LACKS = kind(
    _G,
    "qemu_lacks",
    "QEMU %(version)s has no %(name)s.",
    "it was built without what COLO needs (`--enable-replication`, `--enable-colo-proxy`), or is too old: take another package",
    _WARNING,
    private="version name",
    public="QEMU lacks what COLO needs.",
)
QEMU_BROKEN = kind(
    _G,
    "qemu_broken",
    "COLO is known to be broken in QEMU %(version)s. Use 7.2 to 9.2, or 10.2 and later.",
    "do that. `[qemu] allow_unsuitable_versions` takes it all the same, at the guests' risk",
    _WARNING,
    private="version",
    public="COLO is known to be broken in this QEMU.",
)
QEMU_UNKNOWN = kind(
    _G,
    "qemu_unknown",
    "QEMU cannot be asked what it has: %(text)s.",
    "is `qemu-system-x86_64` installed, and may the agent run it?",
    _WARNING,
    private="text",
    public="QEMU cannot be asked what it has.",
)
LIBVIRTD_SILENT = kind(
    _G,
    "libvirtd_silent",
    "libvirtd does not answer: %(text)s.",
    "start libvirtd; the agent connects again by itself, if need be by starting anew, and guests run on meanwhile",
    _WARNING,
    private="text",
    public="libvirtd does not answer.",
)
LIBVIRTD_STUCK = kind(
    _G,
    "libvirtd_stuck",
    "libvirtd does not answer: it was asked %(seconds)s s ago.",
    "the same",
    _WARNING,
)
FENCED = kind(
    _G,
    "fenced",
    "Its nova-compute is forced down since the host was lost. It is up again when it is restarted there and has cleaned up.",
    "restart nova-compute there: see [fencing](#fencing)",
    _WARNING,
)
AGENT_UNKNOWN = kind(
    _G,
    "agent_unknown",
    "No agent was ever heard of there.",
    "install nova-colo-agent there: see [installing](install.md)",
    _WARNING,
)

# --- errors of failovers and other operations

_G = Group.OPERATION
NO_SECONDARY_TO_RESUME = kind(
    _G,
    "no_secondary_to_resume",
    "There is no secondary on %(host)s that could resume.",
    "it has ended; the primary goes on. A new one is made",
    _WARNING,
    hosts="host",
)
GRANT_INVALID = kind(
    _G,
    "grant_invalid",
    "The grant for epoch %(epoch)s is no longer valid.",
    "another failover came before; nothing",
    _WARNING,
)
GRANT_GIVEN = kind(
    _G,
    "grant_given",
    "The grant for epoch %(epoch)s was given to %(host)s before.",
    "the same",
    _WARNING,
    hosts="host",
)
GRANT_MISSED = kind(_G, "grant_missed", "Another grant was given meanwhile.", "the same", _WARNING)
MAY_NOT_RESUME = kind(
    _G,
    "may_not_resume",
    "%(host)s has no secondary of %(server)s that may resume in epoch %(epoch)s.",
    "the host has seen a later epoch: nothing, unless it repeats",
    _WARNING,
    hosts="host",
)
WRONG_EPOCH = kind(
    _G,
    "wrong_epoch",
    "%(host)s is %(role)s of %(server)s in epoch %(epoch)s, not %(wanted)s.",
    "the same",
    _WARNING,
    hosts="host",
)
RUNS_ITSELF = kind(
    _G,
    "runs_itself",
    "%(host)s runs %(server)s itself, epoch %(epoch)s.",
    "a secondary was to be made where the server runs: nothing, unless it repeats",
    _WARNING,
    hosts="host",
)
NO_REPLICA = kind(
    _G,
    "no_replica",
    "%(host)s has no replica of %(server)s.",
    "the mode of a pair was set that has just ended",
    _WARNING,
    hosts="host",
)
NOT_THE_PRIMARY = kind(
    _G,
    "not_the_primary",
    "%(host)s is not the primary of %(server)s in epoch %(epoch)s any more.",
    "Nova has started the guest anew meanwhile; the failover is given up and a new secondary is made",
    _WARNING,
    hosts="host",
)
SERVICE_ERROR = kind(
    _G,
    "service_error",
    "%(service)s answered %(status_code)s: %(text)s",
    "Nova's or Placement's own words. 403: the engine's user lacks the admin role. 409 of a move: look at the server's task and "
    "at nova-compute on both hosts",
    _WARNING,
    private="text",
    public="%(service)s answered %(status_code)s.",
)
SERVICE_SILENT = kind(
    _G,
    "service_silent",
    "%(service)s does not answer.",
    "Nova, Placement or Keystone is away, or `[nova]`, `[placement]` name the wrong endpoint; tried again by itself",
    _WARNING,
)
NOVA_DID_NOT_FOLLOW = kind(
    _G,
    "nova_did_not_follow",
    "Nova did not follow to %(host)s (request %(request)s).",
    "`openstack server event show SERVER REQUEST`, and the log of nova-compute on that host",
    _WARNING,
    hosts="host",
)
RECORDS_TIMEOUT = kind(
    _G,
    "records_timeout",
    "Nova's records have not moved within %(seconds)s s.",
    "as above; `[engine] records_timeout`",
    _WARNING,
)
TASK_TIMEOUT = kind(
    _G,
    "task_timeout",
    "Nova's present task has not ended within %(seconds)s s.",
    "the server has a task of Nova's that does not end: `openstack server show`",
    _WARNING,
)
RESTART_TIMEOUT = kind(
    _G, "restart_timeout", "The server has not restarted within %(seconds)s s.", "as above", _WARNING
)
MODE_FAILED = kind(
    _G,
    "mode_failed",
    "The mode could not be set to %(mode)s: %(error)s",
    "see the error; the mode is as before",
    _WARNING,
)

# --- what has happened

_G = Group.EVENT
FAILOVER_REQUESTED = kind(_G, "failover_requested", "Failover: %(reason)s.", "somebody has asked")
FAILED_OVER = kind(
    _G,
    "failed_over",
    "Failed over from %(source)s to %(target)s: %(reason)s.",
    "the secondary runs, service is back",
    _WARNING,
    hosts="source target",
)
RECORDS_FOLLOWED = kind(
    _G,
    "records_followed",
    "Nova's records have followed to %(host)s.",
    "the failover is complete",
    hosts="host",
)
FAILOVER_UNDONE = kind(
    _G,
    "failover_undone",
    "The failover failed, nothing has changed: %(error)s",
    "see the error",
    _ERROR,
)
FAILOVER_RETURNED = kind(
    _G,
    "failover_returned",
    "The failover failed, the server runs on %(host)s again: %(error)s",
    "the grant was given back; see the error",
    _ERROR,
    hosts="host",
)
PROTECTION_REQUESTED = kind(_G, "protection_requested", "Protection was requested.", "")
PROTECTION_RESUMED = kind(_G, "protection_resumed", "Protection was resumed on request.", "")
REMOVAL_REQUESTED = kind(_G, "removal_requested", "The removal of protection (%(action)s) was requested.", "")
PROTECTED = kind(_G, "protected", "Protected: the secondary runs on %(host)s. %(more)s", "", hosts="host")
PAUSED_FOR = kind(
    _G,
    "paused_for",
    "The guest was paused for %(ms)s ms.",
    "end of the line before: clients were kept waiting so long in all while the secondary was made",
)
NO_TEST_RETURN = kind(
    _G,
    "no_test_return",
    "The test failover does not return to %(host)s, which has no capacity or is away.",
    "end of that line: it stays where it is",
    hosts="host",
)
REQUEST_CANCELLED = kind(
    _G,
    "request_cancelled",
    "Request cancelled: a host of the pair failed before it started.",
    "a move or a mode that waited for others; ask again",
    _WARNING,
)
MOVE_REQUESTED = kind(_G, "move_requested", "A move of the secondary was requested.", "")
MOVED = kind(_G, "moved", "The secondary has moved from %(old)s to %(new)s.", "", hosts="old new")
MODE_REQUESTED = kind(_G, "mode_requested", "Mode %(mode)s was requested.", "")
MODE_SET = kind(_G, "mode_set", "The mode is %(mode)s.", "")
MODE_CHANGED = kind(
    _G,
    "mode_changed",
    "Under the policy %(policy)s the pair goes on in mode %(mode)s.",
    "replies kept differing, or have been given another try: `[qemu] hybrid_run`, `hybrid_wait`, `hybrid_max_wait`",
)
SECONDARY_GIVEN_UP = kind(
    _G,
    "secondary_given_up",
    "Secondary lost: %(reason)s. The primary on %(host)s goes on alone.",
    "a new secondary follows",
    _WARNING,
    hosts="host",
)
NOT_PROTECTED = kind(
    _G, "not_protected", "The server could not be protected: %(error)s", "see the error", _WARNING
)
RESERVATION_REPAIRED = kind(
    _G,
    "reservation_repaired",
    "The reservation of the secondary on %(host)s was missing or wrong in placement. It is there again.",
    "see [reservations](#reservations-in-placement)",
    _WARNING,
    hosts="host",
)
RESERVATION_LOST = kind(
    _G,
    "reservation_lost",
    "The reservation of the secondary on %(host)s is missing in placement and its capacity is taken. Move a server away from "
    "there, or move the secondary.",
    "do that",
    _ERROR,
    hosts="host",
)
RESERVATION_REMOVED = kind(
    _G,
    "reservation_removed",
    "A reservation in placement that belonged to no secondary was removed.",
    "",
    _WARNING,
)

# --- refusals

_G = Group.REFUSAL
WAIT_FAILOVER = kind(
    _G, "wait_failover", "A failover of this server is in progress. Wait until it has finished."
)
WAIT_STARTING = kind(
    _G, "wait_starting", "The secondary is still being made. Wait until the server is protected."
)
WAIT_RECORDS = kind(
    _G,
    "wait_records",
    "Nova's records still follow a failover of this server. Wait until they name its new host.",
)
WAIT_BUSY = kind(
    _G, "wait_busy", "Something else is being done to this server's pair. Wait until it has finished."
)
NO_HEALTHY_SECONDARY = kind(
    _G,
    "no_healthy_secondary",
    "The server has no healthy secondary to fail over to. Wait until it is protected again, or free capacity on another host.",
)
NOT_PROTECTED_FORCE = kind(
    _G,
    "not_protected_force",
    "The pair is %(state)s, not protected. Wait until it is protected, or force the failover.",
)
NOT_PROTECTED_YET = kind(
    _G, "not_protected_yet", "The pair is %(state)s, not protected. Wait until it is protected."
)
RESUME_FIRST = kind(
    _G, "resume_first", "The server's protection is suspended. Resume it with ft-resume first."
)
RESUME_INSTEAD = kind(_G, "resume_instead", "The server's protection is suspended. Resume it with ft-resume.")
SUSPENDED_ALREADY = kind(
    _G, "suspended_already", "The server's protection is suspended already. Resume it with ft-resume."
)
NOT_SUSPENDED = kind(_G, "not_suspended", "The server's protection is not suspended.")
PROTECT_FIRST = kind(_G, "protect_first", "The server is unprotected. Protect it with ft-protect first.")
UNPROTECTED_ALREADY = kind(
    _G, "unprotected_already", "The server is unprotected already. Protect it with ft-protect."
)
PROTECTED_ALREADY = kind(_G, "protected_already", "The server is protected already.")
PRIMARY_IS_THERE = kind(
    _G, "primary_is_there", "The primary runs on %(host)s. Name another host, or none.", own="host"
)
SECONDARY_IS_THERE = kind(
    _G, "secondary_is_there", "The secondary is on %(host)s already. Name another host, or none.", own="host"
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
    _G,
    "host_unknown",
    "Host %(host)s has no nova-colo-agent. Name one of those that GET /os-fault-tolerance/hosts lists.",
    own="host",
)
CANNOT_BE_FT = kind(
    _G,
    "cannot_be_fault_tolerant",
    "The server cannot be fault tolerant. %(problems)s",
    "[what cannot be fault tolerant](actions.md#what-cannot-be-fault-tolerant)",
    own="problems",
)
NO_PAIR_YET = kind(
    _G,
    "no_pair_yet",
    "Instance %(server)s has no secondary yet. Wait until it is protected.",
    "the engine has not seen the server yet",
)
NOT_FAULT_TOLERANT = kind(
    _G,
    "not_fault_tolerant",
    "Instance %(server)s is not fault tolerant. Create it from a flavor with the extra spec ft:enabled=1.",
)
LOCKED = kind(_G, "locked", "Instance %(server)s is locked. Unlock it first.")

#: What a role may not allow, by the action's name on the wire.
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

# --- how far the making of a secondary is; the code is in a pair's progress

_G = Group.STAGE
FINDING_HOST = kind(_G, "finding_host", "finding a host")
MAKING = kind(_G, "making", "making the secondary")
REMOVING = kind(_G, "removing", "removing the secondary")
WAITING_FOR_PRIMARY = kind(_G, "waiting_for_primary", "waiting for the primary")
COPYING = kind(_G, "copying", "copying disk and memory")
COPYING_DISKS = kind(_G, "copying_disks", "copying disks")
SENDING_MEMORY = kind(_G, "sending_memory", "sending memory")


def stage(code: str) -> str:
    """Return what a stage of a pair's progress is called; what has no code, as of an earlier agent, is called what it says."""
    known = CATALOGUE.get(code)
    return known.template if known is not None and known.group == Group.STAGE else code
