# SPDX-License-Identifier: Apache-2.0
"""[colo] strict: build an FT server only with capacity reserved for its secondary."""

from typing import Any

import oslo_messaging as messaging
from nova import exception
from nova.compute import vm_states
from oslo_config import cfg
from oslo_log import log as logging

from nova_colo import rpc
from nova_colo.pair.model import is_fault_tolerant

LOG = logging.getLogger(__name__)

#: Errors whose text is for the server's owner, by the names that travel over RPC. An engine of the release
#: before raised NoRoomError itself.
FOR_OWNER = ("BuildError", "NoRoomError")


class StrictBuild:
    """Requests a reservation from an engine before an FT server boots.

    :param conf: Nova's options
    """

    def __init__(self, conf: cfg.ConfigOpts):
        self._conf = conf
        self._engines: rpc.ReservationClient | None = None

    def reserve(self, instance: Any) -> None:
        """Reserve capacity for the secondary of an FT server that boots for the first time.

        Do nothing for other servers.

        :param instance: nova.objects.Instance
        :raises nova.exception.BuildAbortException: when no capacity was reserved; Nova rolls the build back
            and tries no other host
        """
        # unshelving and rebuilding also call this: an existing server that runs unprotected is better than
        # none
        if instance.vm_state != vm_states.BUILDING or not is_fault_tolerant(
            {"extra_specs": instance.flavor.extra_specs}
        ):
            return
        timeout = self._conf.colo.reservation_timeout
        try:
            if self._engines is None:
                self._engines = rpc.ReservationClient(rpc.transport(self._conf), timeout)
            host = self._engines.reserve(instance.uuid, instance.host)
        except messaging.MessagingTimeout:
            reason = f"no nova-colo-engine answered within {timeout:g} s. Is one running?"
        except messaging.RemoteError as error:
            # the text of any other error is not for the server's owner; it is in the engine's log
            for_owner = error.exc_type in FOR_OWNER
            reason = str(error.value) if for_owner else "nova-colo-engine failed. Its log says why."
        except messaging.MessagingException:  # its text may have the broker's address
            LOG.exception("No nova-colo-engine could be asked.", instance=instance)
            reason = "no nova-colo-engine could be asked. The log of nova-compute says why."
        else:
            LOG.info("Reserved capacity for the secondary on host %s.", host, instance=instance)
            return
        reason = f"The server is fault tolerant and no capacity could be reserved for its secondary: {reason}"
        raise exception.BuildAbortException(instance_uuid=instance.uuid, reason=reason)
