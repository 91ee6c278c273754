# SPDX-License-Identifier: Apache-2.0
"""An agent carries out what an engine has signed for it, lately and once, and nothing else."""

import copy
import json
from types import SimpleNamespace

import oslo_messaging as messaging
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from oslo_config import cfg

from nova_colo import rpc
from nova_colo.agent import signing
from nova_colo.agent.replication import UnverifiedError
from nova_colo.pair.model import Role

HOST, SERVER = "compute-a", "11111111-1111-4111-8111-111111111111"
PROMOTE = {"server_id": SERVER, "epoch": 2, "stopped": False}


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.25

    def __call__(self) -> float:
        return self.now


class Manager:
    """An agent that records what it is asked to do."""

    target = messaging.Target(version=rpc.VERSION)

    def __init__(self) -> None:
        self.done: list[tuple[str, dict]] = []

    def promote(self, ctxt, **arguments):
        self.done.append(("promote", arguments))
        return 1.5

    def discard(self, ctxt, **arguments):
        self.done.append(("discard", arguments))


@pytest.fixture
def key():
    return ed25519.Ed25519PrivateKey.generate()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def agent(key, clock):
    """An agent that knows two engines."""
    other = ed25519.Ed25519PrivateKey.generate()
    keys = [other.public_key(), key.public_key()]
    manager = Manager()
    endpoint = signing.SignedEndpoint(manager, signing.Verifier(HOST, keys, clock))
    return SimpleNamespace(endpoint=endpoint, done=manager.done)


@pytest.fixture
def engine(key, clock):
    return signing.Signer(key, clock)


def refused(call, code="request_not_signed", **params):
    with pytest.raises(UnverifiedError) as raised:
        call()
    assert raised.value.reason.code == code
    assert raised.value.reason.params == {"host": HOST, **params}


def over_the_wire(value):
    return json.loads(json.dumps(value))


def test_what_an_engine_has_signed_is_carried_out(engine, agent):
    context = over_the_wire(engine.sign(HOST, "promote", PROMOTE))
    assert agent.endpoint.promote(context, **PROMOTE) == 1.5
    assert agent.done == [("promote", PROMOTE)]


def test_arguments_are_signed_as_they_arrive(engine, agent):
    """JSON makes lists of tuples, strings of keys and of enumerations."""
    arguments = {"server_id": SERVER, "role": Role.SECONDARY, "ports": (1, 2), "by_port": {49152: "ü"}}
    context = over_the_wire(engine.sign(HOST, "discard", arguments))
    agent.endpoint.discard(context, **over_the_wire(arguments))
    assert agent.done == [("discard", over_the_wire(arguments))]


@pytest.mark.parametrize("change", ["epoch", "server", "method", "host", "id", "later", "more", "less"])
def test_what_was_changed_on_the_way_is_refused(change, engine, agent):
    host = "compute-b" if change == "host" else HOST
    context, arguments = engine.sign(host, "promote", PROMOTE), copy.copy(PROMOTE)
    match change:
        case "epoch":
            arguments["epoch"] = 3
        case "server":
            arguments["server_id"] = SERVER.replace("1", "2")
        case "id":
            context["request_id"] = SERVER
        case "later":
            context["expires"] += 1
        case "more":
            arguments["force"] = True
        case "less":
            del arguments["stopped"]
    method = agent.endpoint.discard if change == "method" else agent.endpoint.promote
    refused(lambda: method(context, **arguments))
    assert agent.done == []


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"request_id": "1", "expires": 1_800_000_100},
        {"request_id": "1", "expires": 1_800_000_100, "signature": ""},
        {"request_id": "1", "expires": 1_800_000_100, "signature": "00" * 64},
        {"request_id": "1", "expires": 1_800_000_100, "signature": "no hexadecimal"},
        {"request_id": ["1"], "expires": "soon", "signature": None},
        {"request_id": "1", "expires": 10**400, "signature": "00" * 64},
        {"request_id": "1", "expires": float("nan"), "signature": "00" * 64},
    ],
)
def test_what_nobody_has_signed_is_refused(context, agent):
    refused(lambda: agent.endpoint.promote(context, **PROMOTE))
    assert agent.done == []


def test_what_somebody_else_has_signed_is_refused(agent, clock):
    stranger = signing.Signer(ed25519.Ed25519PrivateKey.generate(), clock)
    refused(lambda: agent.endpoint.promote(stranger.sign(HOST, "promote", PROMOTE), **PROMOTE))
    assert agent.done == []


def test_a_copy_is_refused_and_a_repeated_request_is_not(engine, agent, clock):
    """A secondary could be destroyed again with the request that has destroyed the one before."""
    context = engine.sign(HOST, "discard", PROMOTE)
    agent.endpoint.discard(context, **PROMOTE)
    clock.now += signing.VALID_S - 1
    agent.endpoint.discard(engine.sign(HOST, "discard", PROMOTE), **PROMOTE)  # as an engine repeats it
    refused(lambda: agent.endpoint.discard(context, **PROMOTE))
    assert len(agent.done) == 2


@pytest.mark.parametrize("seconds", [signing.VALID_S + 1, -signing.VALID_S - 1])
def test_a_request_of_another_time_is_refused(seconds, engine, agent, clock):
    context = engine.sign(HOST, "promote", PROMOTE)
    clock.now += seconds
    refused(lambda: agent.endpoint.promote(context, **PROMOTE), "request_not_current", seconds=seconds)
    clock.now -= seconds / 2
    agent.endpoint.promote(context, **PROMOTE)
    assert len(agent.done) == 1


def test_ids_of_accepted_requests_are_kept_until_they_expire(engine, key, clock):
    verifier = signing.Verifier(HOST, [key.public_key()], clock)
    for _ in range(50):
        verifier.check(engine.sign(HOST, "promote", PROMOTE), "promote", PROMOTE)
        clock.now += 10
    assert len(verifier._seen) <= signing.VALID_S / 10 + 1


def test_no_method_is_there_that_the_agent_has_not(agent):
    assert not hasattr(agent.endpoint, "run_anything")


def pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def configured(signing_key_file=None, engine_keys_file=None):
    return SimpleNamespace(
        engine=SimpleNamespace(signing_key_file=signing_key_file),
        agent=SimpleNamespace(engine_keys_file=engine_keys_file),
    )


def test_keys_are_read_as_openssl_writes_them(tmp_path, key):
    """Two engines, their public keys one after the other in one file."""
    others = [ed25519.Ed25519PrivateKey.generate(), key]
    (tmp_path / "engine.key").write_bytes(pem(key))
    (tmp_path / "engines.pem").write_bytes(b"first\n" + b"\n".join(map(public_pem, others)))
    conf = configured(str(tmp_path / "engine.key"), str(tmp_path / "engines.pem"))
    endpoint = signing.endpoint(Manager(), HOST, signing.engine_keys(conf))
    assert endpoint.promote(signing.sign_by(conf)(HOST, "promote", PROMOTE), **PROMOTE) == 1.5


def test_without_keys_nothing_is_signed_or_checked_and_the_agent_says_so(caplog):
    conf, manager = configured(), Manager()
    assert signing.sign_by(conf)(HOST, "promote", PROMOTE) == {}
    assert signing.endpoint(manager, HOST, signing.engine_keys(conf)) is manager
    assert "[agent] engine_keys_file is not set" in caplog.text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        public_pem(ec.generate_private_key(ec.SECP256R1())),
        None,
    ],
)
def test_a_file_without_engines_keys_is_named(content, tmp_path):
    """An agent that went on without keys would do what anyone publishes."""
    path = tmp_path / "engines.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(cfg.Error, match=rf"{path}, which \[agent\] engine_keys_file names, cannot be used"):
        signing.engine_keys(configured(engine_keys_file=str(path)))


@pytest.mark.parametrize("kind", ["empty", "public", "other", "passphrase", "missing"])
def test_a_file_without_a_signing_key_is_named(kind, tmp_path, key):
    path = tmp_path / "engine.key"
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    contents = {
        "empty": b"",
        "public": public_pem(key),
        "other": pem(ec.generate_private_key(ec.SECP256R1())),
        "passphrase": encrypted,
    }
    if kind in contents:
        path.write_bytes(contents[kind])
    with pytest.raises(cfg.Error, match=rf"{path}, which \[engine\] signing_key_file names, cannot be used"):
        signing.sign_by(configured(signing_key_file=str(path)))
