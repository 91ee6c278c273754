# SPDX-License-Identifier: Apache-2.0
"""The configuration of fault tolerance: engine, paste filter, agents."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from lab.cloud.config import common
from lab.cloud.config.ini import Sections
from lab.cloud.spec import Spec
from lab.core.layout import write_private
from lab.core.patience import FACTOR, patient
from nova_colo import conf

#: All agents reconnect to a restarted broker within two seconds instead of half a minute.
BROKER: Sections = {"oslo_messaging_rabbit": {"rabbit_interval_max": 2}}
#: Options with the times after which something slow counts as lost or degraded.
LIMITS = {
    "agent": ("missed_heartbeats",),
    "engine": ("agent_timeout",),
    "qemu": ("command_timeout", "link_silent", "checkpoint_stuck", "checkpoint_late", "pause_long"),
}


def engine_conf(spec: Spec) -> Sections:
    """Return nova-colo.conf, for the engine, nova-colo-manage and the filter in nova-api."""
    auth = spec.service_auth()
    return {
        "DEFAULT": {**common.logging(), "transport_url": spec.transport_url()},
        "database": common.database(spec, "nova_colo"),
        "nova": auth,
        "placement": auth,
        "neutron": {"region_name": auth["region_name"]},
        "agent": limits("agent"),
        "engine": {"signing_key_file": _key_file(spec), **_intervals(spec), **limits("engine")},
    }


def agent_conf(spec: Spec, host: str) -> Sections:
    """Return the configuration of the agent on ``host``."""
    return {
        "DEFAULT": {
            **common.logging(),
            "transport_url": spec.transport_url(),
            "host": host,
            "state_path": spec.layout.host(host) / "state",
        },
        "agent": {"engine_keys_file": public_key_file(spec), **limits("agent")},
        "simulated": {"directory": spec.layout.simulated},
    }


def write_keys(spec: Spec) -> None:
    """Write the key with which the engine signs requests, and the agents' copy of its public key, once."""
    if public_key_file(spec).exists():
        return
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    write_private(_key_file(spec), private.decode())
    write_private(public_key_file(spec), public.decode())


def _key_file(spec: Spec) -> Path:
    return spec.layout.etc / "nova-colo" / "engine-key.pem"


def public_key_file(spec: Spec) -> Path:
    """Return the file with the public keys of all engines."""
    return spec.layout.etc / "nova-colo" / "engine-keys.pem"


def limits(section: str) -> dict[str, object]:
    """Return the LIMITS of a section, multiplied by FACTOR of lab/core/patience.py."""
    if FACTOR == 1:
        return {}
    options = {option.dest: option for option in dict(conf.list_opts())[section]}
    return {name: type(options[name].default)(patient(options[name].default)) for name in LIMITS[section]}


def _intervals(spec: Spec) -> dict[str, object]:
    """Return shorter intervals than a cloud has, since users and tests of the lab wait for their effects."""
    if spec.state.short_intervals:
        return {
            "nova_poll_interval": 2,
            "lease_time": 4,
            "repair_interval": 5,
            "retry_interval": 3,
            "fence_delay": patient(5),
            "max_protects_per_hour": 1000,  # tests protect one server again and again
        }
    return {"nova_poll_interval": 2, "lease_time": 4, "repair_interval": 10}
