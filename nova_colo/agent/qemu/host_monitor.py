# SPDX-License-Identifier: Apache-2.0
"""Check periodically what libvirt and QEMU of this host support."""

import contextlib
import datetime
import os
import pathlib
import threading
import time

import libvirt
from oslo_config import cfg
from oslo_log import log as logging

from nova_colo.agent.qemu import capabilities, privileged, tls
from nova_colo.agent.qemu.qmp.client import GoneError, Hypervisor, libvirtd_answers
from nova_colo.pair import reasons
from nova_colo.pair.reasons import Reason

LOG = logging.getLogger(__name__)

#: Seconds between two checks of the host, and after which libvirtd counts as frozen if a check has not ended.
HOST_CHECK_S, HOST_SILENT_S = 5.0, 20.0
#: Seconds after which a check of the host never ends if libvirtd answers other processes.
HOST_LOST_S = 40.0


#: Seconds until it is tried again to gain privileges: sudo may report each attempt.
PRIVILEGES_RETRY_S = 30.0


class HostMonitor:
    """This host's unmet requirements and versions, as of the last check.

    The checks have a thread of their own: a frozen libvirtd must not delay the heartbeat, and so make its
    host look dead.

    :param options: the section [qemu]
    """

    def __init__(self, options: cfg.ConfigOpts, hypervisor: Hypervisor):
        self._options = options
        self._hypervisor = hypervisor
        self._last_check: tuple[float, list[Reason], dict[str, str]] = (float("-inf"), [], {})
        self._certificates_end: datetime.date | None = None
        self._no_privileges: Reason | None = None
        self._checked = threading.Event()
        self._privileges_checked = threading.Event()

    def start(self) -> None:
        """Start the checks, and wait for the first one, for the timeout of a command at most."""
        threading.Thread(target=self._privileges_loop, name="privileges", daemon=True).start()
        self._privileges_checked.wait(self._options.command_timeout)
        threading.Thread(target=self._check_loop, name="host", daemon=True).start()
        threading.Thread(target=self._watchdog_loop, name="watch", daemon=True).start()
        self._checked.wait(self._options.command_timeout)

    def unmet_requirements(self) -> list[Reason]:
        """Return this host's unmet requirements."""
        checked_at, unmet, _ = self._last_check
        if time.monotonic() - checked_at > HOST_SILENT_S:
            return [reasons.LIBVIRTD_STUCK(seconds=HOST_SILENT_S)]
        return unmet

    def certificates_end(self) -> datetime.date | None:
        """Return the day on which this host's certificates end, if it is soon."""
        return self._certificates_end

    def versions(self) -> dict[str, str]:
        """Return the versions of QEMU and libvirt."""
        return self._last_check[2]

    def _check_loop(self) -> None:
        pause = threading.Event()
        while True:
            try:
                if folder := self._options.tls_x509_cert_dir:
                    self._certificates_end = tls.ends_soon(folder, datetime.datetime.now(datetime.UTC))
                self._last_check = (time.monotonic(), self._find_unmet_requirements(), self._read_versions())
            except Exception:
                LOG.exception("Failed to check this host")
            self._checked.set()
            pause.wait(HOST_CHECK_S)

    def _privileges_loop(self) -> None:
        """Check what sudo allows. It may be slow, which must not count as a libvirtd that does not answer."""
        pause = threading.Event()
        while True:
            try:
                privileged.check()
                self._no_privileges = None
            except Exception as error:
                text = getattr(error, "strerror", None) or str(error)
                if self._no_privileges is None:
                    LOG.error("This agent cannot gain privileges: %s", text)
                self._no_privileges = reasons.HOST_NO_PRIVILEGES(text=text)
            self._privileges_checked.set()
            pause.wait(HOST_CHECK_S if self._no_privileges is None else PRIVILEGES_RETRY_S)

    def _watchdog_loop(self) -> None:
        """Exit when a call to libvirt never returns, since nothing else ends such a call.

        A connection that is being opened has no keep-alive yet, and all other threads wait for it, since it
        is opened in one place. The service manager restarts this process; guests and pairs are not affected.
        """
        began, pause = time.monotonic(), threading.Event()
        while True:
            pause.wait(HOST_SILENT_S)
            checked_at = self._last_check[0]
            is_late = time.monotonic() - max(checked_at, began) > HOST_LOST_S
            if (
                is_late
                and libvirtd_answers(self._options.libvirt_uri, HOST_SILENT_S)
                and self._last_check[0] == checked_at
            ):
                LOG.critical(
                    "libvirtd has not answered this process for %g s, but answers others. "
                    "Exiting to be restarted.",
                    HOST_LOST_S,
                )
                os._exit(os.EX_UNAVAILABLE)

    def _find_unmet_requirements(self) -> list[Reason]:
        options = self._options
        unmet = capabilities.unmet_requirements(capabilities.probe(), options.allow_unsuitable_versions)
        if not options.replication_address:
            unmet.append(reasons.HOST_NO_ADDRESS())
        elif options.tls_x509_cert_dir is not None:
            unmet += tls.unmet_requirements(options.tls_x509_cert_dir, options.replication_address)
        if self._no_privileges is not None:
            unmet.append(self._no_privileges)
        if not _may_write(options.runtime_directory):
            unmet.append(reasons.HOST_NO_RUNTIME_DIRECTORY(path=options.runtime_directory))
        try:
            self._hypervisor.connection()
        except GoneError as error:
            unmet.append(reasons.LIBVIRTD_SILENT(text=error.reason.params["text"]))
        return unmet

    def _read_versions(self) -> dict[str, str]:
        versions = {"qemu": capabilities.version(capabilities.probe())}
        with contextlib.suppress(GoneError, libvirt.libvirtError):
            number = self._hypervisor.connection().getLibVersion()
            versions["libvirt"] = f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
        return versions


def _may_write(folder: str) -> bool:
    """Return whether this process may create files in a folder, which it creates if it does not exist."""
    try:
        pathlib.Path(folder).mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)
