# SPDX-License-Identifier: Apache-2.0
"""Find virtio devices of a secondary with which it could not take over, since the guest does not use them."""

from oslo_log import log as logging

from nova_colo.agent.qemu.qmp import virtio
from nova_colo.agent.qemu.qmp.client import Guest

LOG = logging.getLogger(__name__)


class DeviceCheck:
    """Checks the devices of a secondary once after each checkpoint, and resets it while some are unusable.

    :ivar unusable: the names of its unusable devices at the last checkpoint
    """

    def __init__(self, guest: Guest):
        self.unusable: list[str] = []
        self._guest = guest
        self._checked_at: float | None = None
        self._failures = 0  # consecutive checkpoints with such devices

    def after_checkpoint(self, at: float | None) -> None:
        """Check the devices unless that was done since the last checkpoint.

        :param at: time of the last checkpoint
        """
        if at == self._checked_at:
            return
        self._checked_at = at
        self.unusable = virtio.unusable_devices(self._guest)
        self._failures = self._failures + 1 if self.unusable else 0
        # at the 1st, 2nd, 4th, 8th ... checkpoint: the guest may have broken the primary's device, too, and
        # between a reset and the next checkpoint there is nothing to promote
        if self._failures and self._failures & (self._failures - 1) == 0:
            LOG.warning(
                "Resetting the secondary of server %s: disabled or broken devices: %s.",
                self._guest.uuid,
                ", ".join(self.unusable),
            )
            virtio.reset(self._guest)

    def reset(self) -> None:
        """Reset the result: the replica has no peer any more."""
        self.unusable = []
