# SPDX-License-Identifier: Apache-2.0
"""Wait for a condition, with a bound, and say what went wrong when it does not come."""

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
    """Call ``probe`` until it returns None; the text it returns meanwhile, or its exception, says what is missing.

    :param what: what is waited for, for the message
    :param services: the services that have to run for it to come true, the one to suspect first
    :param seconds: on a machine at rest, see :mod:`lab.core.patience`
    :raises LabError: after ``seconds``, or as soon as one of ``services`` has died, with the end of its log
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
        raise LabError(f"waited {seconds:.0f} s for {what}, in vain: {missing}\n{tail}{others}".rstrip())


def check_running(services: Iterable[str], supervisor: Supervisor, what: str) -> None:
    """Raise LabError with exit code and log when one of ``services`` does not run."""
    for name in services:
        if not supervisor.is_running(name):
            code = supervisor.exit_code(name)
            how = "is not running" if code is None else f"ended with exit code {code}"
            raise LabError(f"{name} {how} while waiting for {what}\n{supervisor.log_tail(name)}")
