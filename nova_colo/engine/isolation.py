# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with one thing must not touch the others."""

import contextlib
from collections.abc import Iterator

from oslo_log import log as logging

from nova_colo.engine.errors import WorkflowError

LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def isolated(what: str) -> Iterator[None]:
    """Log what goes wrong with one thing, and go on with the others."""
    try:
        yield
    except WorkflowError as error:
        LOG.warning("%s could not be looked after: %s", what, error)
    except Exception:
        LOG.exception("%s could not be looked after.", what)
