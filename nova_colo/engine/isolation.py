# SPDX-License-Identifier: Apache-2.0
"""Keep a failure with one object from affecting the others."""

import contextlib
from collections.abc import Iterator

from oslo_log import log as logging

from nova_colo.engine.errors import WorkflowError

LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def isolated(what: str) -> Iterator[None]:
    """Log an exception and suppress it, so that the caller continues with the next object."""
    try:
        yield
    except WorkflowError as error:
        LOG.warning("Failed to process %s: %s", what, error)
    except Exception:
        LOG.exception("Failed to process %s.", what)
