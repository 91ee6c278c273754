# SPDX-License-Identifier: Apache-2.0
"""Wait for a condition with a timeout, and report the reason of a failure."""

from collections.abc import Callable, Iterable

import tenacity

from lab.core.errors import LabError
from lab.core.patience import patient
from lab.core.process import Supervisor

INTERVAL_SECONDS = 0.25


def wait_for(
    what: str,
    probe: Callable[[], str | None],
    supervisor: Supervisor,
    services: Iterable[str] = (),
    seconds: float = 120.0,
) -> None:
    """Call ``probe`` until it returns None. Its text or exception is the reason to wait.

    :param what: the condition, for the message
    :param services: the services that must run meanwhile, the one most likely at fault first
    :param seconds: the timeout on an idle machine, see :mod:`lab.core.patience`
    :raises LabError: on a timeout, or as soon as one of ``services`` has died; has the end of its log
    """
    names, seconds = list(services), patient(seconds)

    def attempt() -> str | None:
        check_running(names, supervisor, what)
        try:
            return probe()
        except LabError:
            raise
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_delay(seconds),
        wait=tenacity.wait_fixed(INTERVAL_SECONDS),
        retry=tenacity.retry_if_result(lambda missing: missing is not None),
        retry_error_callback=lambda call: call.outcome.result() if call.outcome else None,
    )
    missing = retrying(attempt)
    if missing is not None:
        tail = supervisor.log_tail(names[0]) if names else ""
        others = f"\nsee also the logs of {', '.join(names[1:])}" if names[1:] else ""
        raise LabError(
            f"timed out after {seconds:.0f} s waiting for {what}: {missing}\n{tail}{others}".rstrip()
        )


def check_running(services: Iterable[str], supervisor: Supervisor, what: str) -> None:
    """Raise LabError, with exit code and log, if one of ``services`` does not run."""
    for name in services:
        if not supervisor.is_running(name):
            code = supervisor.exit_code(name)
            how = "is not running" if code is None else f"ended with exit code {code}"
            raise LabError(f"{name} {how} while waiting for {what}\n{supervisor.log_tail(name)}")
