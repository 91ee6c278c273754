# SPDX-License-Identifier: Apache-2.0
"""Options of the QEMU replication backend."""

from oslo_config import cfg

from nova_colo.pair.link_health import Thresholds

LINK = Thresholds()
GROUP = "qemu"
OPTS = [
    cfg.StrOpt("libvirt_uri", default="qemu:///system", help="libvirt connection of this host."),
    cfg.StrOpt(
        "instances_path",
        default="/var/lib/nova/instances",
        help="Folder in which each server has its folder, as in nova.conf. A secondary is started with files "
        "in its server's folder only, and with what Nova writes. Empty to run whatever another host "
        "describes, as colo-pair needs it: then whoever can publish on the message broker can do anything on "
        "this host.",
    ),
    cfg.IPOpt(
        "replication_address",
        help="Address of this host in the replication network, the only one that QEMU listens on for pairs. "
        "With none this host carries no replicas of pairs. Without tls_x509_cert_dir restrict this network "
        "to the compute hosts: any other host in it can read and write guests.",
    ),
    cfg.StrOpt(
        "tls_x509_cert_dir",
        help="Folder with ca-cert.pem, server-cert.pem, server-key.pem, client-cert.pem and client-key.pem, "
        "which QEMU's user must be able to read. All traffic between the two QEMUs of a pair is encrypted "
        "then, and peers without a certificate of this CA are refused. The server's certificate must have "
        "replication_address among its alternative names. With none, nothing is encrypted. Set it on all "
        "hosts or on none.",
    ),
    cfg.PortOpt(
        "port_min",
        default=10500,
        help="First port that QEMU may listen on for pairs (TCP), and an agent (UDP).",
    ),
    cfg.PortOpt(
        "port_max",
        default=10999,
        help="Last port of these. A primary takes two for each NIC, a secondary two. Firewalls must let them "
        "through, and must not send refusals in the host's name.",
    ),
    cfg.PortOpt(
        "reach_port",
        default=10499,
        help="TCP port for probes of the peers' hosts over the replication network. No process listens on "
        "it: a refused connection is an answer. Firewalls must let it through, and must not send refusals "
        "in the host's name.",
    ),
    cfg.StrOpt(
        "runtime_directory",
        default="/run/nova-colo",
        help="Folder for the sockets that connect objects within a primary's QEMU. QEMU must be able to "
        "create sockets below it.",
    ),
    cfg.IntOpt(
        "checkpoint_delay",
        default=20000,
        min=100,
        help="In mode colo: milliseconds without a mismatch until a periodic checkpoint.",
    ),
    cfg.IntOpt(
        "checkpoint_interval",
        default=100,
        min=10,
        help="In mode checkpoint: milliseconds between two checkpoints, if the flavor has no "
        "ft:checkpoint_interval_ms.",
    ),
    cfg.IntOpt(
        "hybrid_run",
        default=10,
        min=1,
        help="Under the policy hybrid: this many mismatches in a row, each within the interval of mode "
        "checkpoint after the last checkpoint, change a pair to mode checkpoint.",
    ),
    cfg.FloatOpt(
        "hybrid_wait",
        default=10.0,
        min=1.0,
        help="Under the policy hybrid: seconds in mode checkpoint before colo is tried again. Doubled while "
        "that fails.",
    ),
    cfg.FloatOpt(
        "hybrid_max_wait", default=600.0, min=1.0, help="Maximum to which hybrid_wait is doubled, in seconds."
    ),
    cfg.IntOpt(
        "max_bandwidth",
        default=10_000_000_000,
        min=1,
        help="Maximum bandwidth of a pair's memory transfer, in bytes per second.",
    ),
    cfg.FloatOpt(
        "memory_timeout",
        default=120.0,
        min=1.0,
        help="Seconds within which the memory transfer must converge: once all memory was sent, what the "
        "guest has changed meanwhile must become less until it can be sent within max_downtime. Counted from "
        "the last progress. Otherwise the creation of the secondary fails, and the guest was not paused.",
    ),
    cfg.FloatOpt(
        "max_downtime",
        default=1.0,
        min=0.05,
        help="Maximum pause of a guest at the end of the first memory transfer, in seconds.",
    ),
    cfg.IntOpt(
        "low_space",
        default=512,
        min=0,
        help="Megabytes. With less free space in the file system of a replica's disk or overlays, the pair's "
        "health is a warning; 0 for never. A secondary that cannot write leaves its pair.",
    ),
    cfg.FloatOpt(
        "command_timeout",
        default=5.0,
        min=0.5,
        help="Seconds that a QEMU may take to answer. A primary that takes longer is replaced by its "
        "secondary. A secondary that does is not promoted.",
    ),
    cfg.FloatOpt(
        "link_silent",
        default=LINK.silent_s,
        min=1.0,
        help="Seconds without an answer from the peer's host on the replication network after which the link "
        "counts as lost.",
    ),
    cfg.FloatOpt(
        "checkpoint_stuck",
        default=LINK.stuck_s,
        min=1.0,
        help="Seconds that a checkpoint may be late before the link counts as lost. QEMU does not report a "
        "frozen peer.",
    ),
    cfg.FloatOpt(
        "checkpoint_late",
        default=LINK.late_s,
        min=0.1,
        help="Health is warning when a checkpoint is this many seconds late.",
    ),
    cfg.FloatOpt(
        "pause_long",
        default=LINK.pause_ms,
        min=1.0,
        help="Health is warning when the 99th percentile of the checkpoints' pauses reaches this many "
        "milliseconds. TCP clients retransmit after 200.",
    ),
    cfg.FloatOpt(
        "mismatch_storm",
        default=LINK.storm_per_min,
        min=1.0,
        help="Health is warning when this many checkpoints per minute were needed because replies differed.",
    ),
    cfg.BoolOpt(
        "allow_unsuitable_versions",
        default=False,
        help="Use a QEMU whose COLO is known to be broken (10.0 and 10.1) all the same.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options on conf."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list:
    """Return the options for oslo-config-generator."""
    return [(GROUP, OPTS)]
