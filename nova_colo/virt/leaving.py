# SPDX-License-Identifier: Apache-2.0
"""A mixin that makes a primary leave its pair before Nova stops or changes its guest.

The engine removes the secondary, and protects the server again when Nova has finished. The API filter refuses
most of these requests for a protected server. They arrive here all the same from a nova-api without the
filter, and from Neutron, when somebody deletes a port of the server.
"""

import collections
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import nova.conf
from nova import exception
from nova.compute import power_state, task_states
from oslo_concurrency import lockutils
from oslo_log import log as logging

from nova_colo.hoststate.roles import RoleStore
from nova_colo.pair.model import Role
from nova_colo.virt import detach_pair

LOG = logging.getLogger(__name__)
CONF = nova.conf.CONF

#: Roles of a host that runs the server's guest for Nova, too.
PRIMARY = (Role.PRIMARY, Role.LEAVING)
FAILED_OVER = "it has just failed over. Try again when Nova names its new host"


def _rebuild_refused(reason: str) -> exception.InstanceFaultRollback:
    """Return an exception that leaves the server's state unchanged.

    ComputeManager._error_out_instance_on_exception sets the server to ERROR after any other exception.
    """
    return exception.InstanceFaultRollback(inner_exception=exception.InstancePowerOffFailure(reason=reason))


def _change_refused(reason: str) -> exception.NovaException:
    return exception.NovaException(f"Cannot change a fault tolerant server: {reason}")


def _suspend_refused(reason: str) -> exception.InstanceFaultRollback:
    """Return an exception that leaves the server's state unchanged; any other sets it to ERROR."""
    return exception.InstanceFaultRollback(inner_exception=_change_refused(reason))


class LeavesPairMixin:
    """The part of ColoDriverMixin with requests that stop or change a guest."""

    _roles: RoleStore
    #: Requests that have left the pair of a server and have not finished: they may overlap, or be nested.
    _leaving_requests: collections.Counter[str]

    @staticmethod
    def _lock_of(uuid: str) -> contextlib.AbstractContextManager[Any]:
        lock: contextlib.AbstractContextManager[Any] = lockutils.lock(f"nova-colo-leaving-{uuid}")
        return lock

    def _role(self, uuid: str) -> Role | None:
        record = self._roles.get(uuid)
        return record.role if record else None

    def _is_hidden(self, uuid: str) -> bool:
        """Return whether this host's guest of a server is a secondary, which Nova must not see."""
        return self._role(uuid) in (Role.SECONDARY, Role.PROMOTED)

    def _has_qemu(self, instance: Any) -> bool:
        """Return whether the guest's QEMU exists on this host."""
        try:
            state = super().get_info(instance).state
        except exception.InstanceNotFound:
            return False
        return state in (power_state.RUNNING, power_state.PAUSED)

    def _actual_state(self, uuid: str) -> contextlib.AbstractContextManager[None]:
        raise NotImplementedError()

    def _check_may_start(self, instance: Any) -> None:
        raise NotImplementedError()

    @contextlib.contextmanager
    def _leaving(self, instance: Any, refusal: Callable[..., exception.NovaException]) -> Iterator[None]:
        """Make a primary leave its pair for as long as Nova stops or changes its guest.

        The role is kept if there is no QEMU: the secondary may have been promoted.

        :param refusal: creates the exception, from the reason, that is raised when the pair cannot be left
        """
        is_leaving = self._role(instance.uuid) in PRIMARY and self._has_qemu(instance)
        if is_leaving:
            self._leave(instance, refusal)
        try:
            yield
        finally:
            if is_leaving:
                self._end_leaving(instance.uuid)

    def _leave(self, instance: Any, refusal: Callable[..., exception.NovaException]) -> None:
        """Leave the pair, unless another request has left it already and has not finished."""
        with self._lock_of(instance.uuid):
            if not self._leaving_requests[instance.uuid] and (
                reason := detach_pair.leave(self._roles, instance.uuid, CONF.colo.leave_timeout)
            ):
                LOG.warning("Not stopping or changing the guest: %s.", reason, instance=instance)
                raise refusal(reason=reason)
            self._leaving_requests[instance.uuid] += 1

    def _end_leaving(self, uuid: str) -> None:
        with self._lock_of(uuid):
            self._leaving_requests[uuid] -= 1
            if self._leaving_requests[uuid] == 0:
                del self._leaving_requests[uuid]
                detach_pair.end(self._roles, uuid)

    @contextlib.contextmanager
    def _changing(
        self, instance: Any, refusal: Callable[..., exception.NovaException] = _change_refused
    ) -> Iterator[None]:
        """Leave the pair for as long as Nova changes the guest; refuse it where the guest does not run."""
        if self._role(instance.uuid) in (Role.DEMOTED, Role.SECONDARY, Role.PROMOTED):
            raise refusal(reason=FAILED_OVER)
        with self._leaving(instance, refusal):
            yield

    # --- the guest is stopped

    def reboot(self, context: Any, instance: Any, *args: Any, **kwargs: Any) -> None:
        """Leave the pair, then reboot."""
        with self._leaving(instance, exception.InstanceRebootFailure):
            self._check_may_start(instance)
            super().reboot(context, instance, *args, **kwargs)

    def power_off(self, instance: Any, *args: Any, **kwargs: Any) -> None:
        """Leave the pair, then power off."""
        if self._is_hidden(instance.uuid):
            raise exception.InstancePowerOffFailure(
                reason="this host has the secondary of the server, not the server"
            )
        is_rebuild = instance.task_state == task_states.REBUILDING
        refusal = _rebuild_refused if is_rebuild else exception.InstancePowerOffFailure
        if self._role(instance.uuid) == Role.DEMOTED:
            # requested before a failover: Nova would record as stopped a server whose guest runs on another
            # host
            raise refusal(reason=FAILED_OVER)
        with self._leaving(instance, refusal), self._actual_state(instance.uuid):
            super().power_off(instance, *args, **kwargs)

    # --- the guest, its disks or its devices are changed, which its secondary cannot reproduce

    def pause(self, instance: Any) -> None:
        """Leave the pair, then pause."""
        with self._changing(instance):
            super().pause(instance)

    def suspend(self, context: Any, instance: Any) -> None:
        """Leave the pair, then suspend."""
        with self._changing(instance, _suspend_refused):
            super().suspend(context, instance)

    def snapshot(self, context: Any, instance: Any, *args: Any, **kwargs: Any) -> None:
        """Leave the pair, then create an image of the disk."""
        with self._changing(instance):
            super().snapshot(context, instance, *args, **kwargs)

    def attach_volume(
        self, context: Any, connection_info: Any, instance: Any, *args: Any, **kwargs: Any
    ) -> None:
        """Leave the pair, then attach a volume."""
        with self._changing(instance):
            super().attach_volume(context, connection_info, instance, *args, **kwargs)

    def detach_volume(
        self, context: Any, connection_info: Any, instance: Any, *args: Any, **kwargs: Any
    ) -> None:
        """Leave the pair, then detach a volume."""
        with self._changing(instance):
            super().detach_volume(context, connection_info, instance, *args, **kwargs)

    def swap_volume(
        self,
        context: Any,
        old_connection_info: Any,
        new_connection_info: Any,
        instance: Any,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Leave the pair, then replace a volume."""
        with self._changing(instance):
            super().swap_volume(context, old_connection_info, new_connection_info, instance, *args, **kwargs)

    def attach_interface(self, context: Any, instance: Any, image_meta: Any, vif: Any) -> None:
        """Leave the pair, then attach a VIF."""
        with self._changing(instance):
            super().attach_interface(context, instance, image_meta, vif)

    def detach_interface(self, context: Any, instance: Any, vif: Any) -> None:
        """Leave the pair, then detach a VIF."""
        with self._changing(instance):
            super().detach_interface(context, instance, vif)
