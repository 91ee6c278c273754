# SPDX-License-Identifier: Apache-2.0
"""Signatures of the engines' requests, so that agents need not trust all that is published on the broker.

An engine signs each request that it sends (Ed25519): for one host, with all arguments, so also with the epoch
of a grant. The agent carries it out if one of the engines has signed it lately, and only once. Replies and
heartbeats are not signed.
"""

import functools
import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from oslo_config import cfg
from oslo_log import log as logging
from oslo_serialization import jsonutils
from oslo_utils import uuidutils

from nova_colo import rpc
from nova_colo.agent.replication import UnverifiedError
from nova_colo.pair import reasons

LOG = logging.getLogger(__name__)

#: Seconds for which a request is valid. The clocks of two hosts may differ by as much.
VALID_S = 120
_PUBLIC_KEYS = re.compile(b"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


class Signer:
    """Signs requests with an engine's key.

    :param clock: seconds since the epoch
    """

    def __init__(self, key: ed25519.Ed25519PrivateKey, clock: Callable[[], float] = time.time):
        self._key = key
        self._clock = clock

    def sign(self, host: str, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the context of a request, which has its signature.

        :param host: whose agent is to carry it out
        """
        context = {"request_id": uuidutils.generate_uuid(), "expires": self._clock() + VALID_S}
        content = _content(context, host, method, arguments)
        return {**context, "signature": self._key.sign(content).hex()}


class Verifier:
    """Checks requests to a host's agent.

    :param host: the agent's
    :param keys: those of the engines
    :param clock: seconds since the epoch
    """

    def __init__(
        self,
        host: str,
        keys: Sequence[ed25519.Ed25519PublicKey],
        clock: Callable[[], float] = time.time,
    ):
        self._host = host
        self._keys = keys
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[str, float] = {}  # when requests that were accepted expire, by their ids

    def check(self, context: Mapping[str, Any], method: str, arguments: Mapping[str, Any]) -> None:
        """Accept a request once.

        :param context: the request's, as :meth:`Signer.sign` returned it
        :raises UnverifiedError: when no engine has signed it, it is too old, or it was accepted before
        """
        try:
            signature = bytes.fromhex(context["signature"])
            request_id, expires = str(context["request_id"]), float(context["expires"])
        except (KeyError, TypeError, ValueError, OverflowError):
            raise self._refusal(method, "it is not signed") from None
        signed = {"request_id": request_id, "expires": expires}
        content = _content(signed, self._host, method, arguments)
        if not any(_is_valid(key, signature, content) for key in self._keys):
            raise self._refusal(method, "no engine has signed it")
        now = self._clock()
        age_s = now - (expires - VALID_S)
        if not -VALID_S <= age_s <= VALID_S:
            late = reasons.REQUEST_NOT_CURRENT(host=self._host, seconds=round(age_s))
            raise self._refusal(method, f"by this host's clock it was signed {age_s:.0f} s ago", late)
        with self._lock:
            self._seen = {id_: until for id_, until in self._seen.items() if until >= now}
            if request_id in self._seen:
                raise self._refusal(method, "it was carried out before")
            self._seen[request_id] = expires

    def _refusal(self, method: str, cause: str, reason: reasons.Reason | None = None) -> UnverifiedError:
        LOG.warning("Refused a request to %s on host %s: %s.", method, self._host, cause)
        return UnverifiedError(reason or reasons.REQUEST_NOT_SIGNED(host=self._host))


class SignedEndpoint:
    """An RPC endpoint that carries out what an engine has signed, and nothing else.

    :param endpoint: whose methods are called
    """

    def __init__(self, endpoint: Any, verifier: Verifier):
        self.target = endpoint.target
        self._endpoint = endpoint
        self._verifier = verifier

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._endpoint, name)

        @functools.wraps(method)
        def checked(context: Mapping[str, Any], **arguments: Any) -> Any:
            self._verifier.check(context, name, arguments)
            return method(context, **arguments)

        return checked


def sign_by(conf: cfg.ConfigOpts) -> rpc.Sign:
    """Return the function that signs with the key of ``[engine] signing_key_file``.

    :returns: :func:`nova_colo.rpc.unsigned` when the option is not set
    :raises oslo_config.cfg.ConfigFileValueError: when the file cannot be used
    """
    path, option = conf.engine.signing_key_file, "[engine] signing_key_file"
    if path is None:
        return rpc.unsigned
    try:
        key = load_pem_private_key(_read(path, option), None)
    except (ValueError, TypeError) as error:  # the latter if it needs a passphrase
        raise _unusable(path, option, str(error)) from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise _unusable(path, option, "it is not an Ed25519 private key")
    return Signer(key).sign


def engine_keys(conf: cfg.ConfigOpts) -> list[ed25519.Ed25519PublicKey]:
    """Return the keys of ``[agent] engine_keys_file``; none when the option is not set.

    :raises oslo_config.cfg.ConfigFileValueError: when the file cannot be used
    """
    path, option = conf.agent.engine_keys_file, "[agent] engine_keys_file"
    if path is None:
        return []
    keys = []
    for pem in _PUBLIC_KEYS.findall(_read(path, option)):
        try:
            key = load_pem_public_key(pem)
        except ValueError as error:
            raise _unusable(path, option, str(error)) from error
        if not isinstance(key, ed25519.Ed25519PublicKey):
            raise _unusable(path, option, "it has a key that is not an Ed25519 public key")
        keys.append(key)
    if not keys:
        raise _unusable(path, option, "it has no public key in PEM format")
    return keys


def endpoint(manager: Any, host: str, keys: Sequence[ed25519.Ed25519PublicKey]) -> Any:
    """Return the RPC endpoint of a host's agent.

    :param manager: has the methods; returned as it is when there are no keys
    :param keys: those of the engines
    """
    if keys:
        return SignedEndpoint(manager, Verifier(host, keys))
    LOG.warning("[agent] engine_keys_file is not set: this agent does what anyone publishes on the broker.")
    return manager


def _content(request: Mapping[str, Any], host: str, method: str, arguments: Mapping[str, Any]) -> bytes:
    """Return what is signed: the request as it is after its way over the wire, which is JSON."""
    plain = json.loads(jsonutils.dumps({**request, "host": host, "method": method, "arguments": arguments}))
    return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()


def _is_valid(key: ed25519.Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _read(path: str, option: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise _unusable(path, option, error.strerror or str(error)) from error


def _unusable(path: str, option: str, cause: str) -> cfg.ConfigFileValueError:
    return cfg.ConfigFileValueError(f"{path}, which {option} names, cannot be used: {cause}.")
