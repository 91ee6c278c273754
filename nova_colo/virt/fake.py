# SPDX-License-Identifier: Apache-2.0
"""Nova's fake driver on the simulated hypervisor, whose guests outlive nova-compute like real ones."""

from collections.abc import Iterator, MutableMapping
from typing import Any

from nova.compute import power_state
from nova.virt import fake
from oslo_log import log as logging

from nova_colo.simulator import hypervisor as hv
from nova_colo.virt.mixin import CONF, ColoDriverMixin

LOG = logging.getLogger(__name__)

_POWER = {hv.RUNNING: power_state.RUNNING, hv.PAUSED: power_state.PAUSED, hv.SHUT_OFF: power_state.SHUTDOWN}
_DOMAIN = {power: domain for domain, power in _POWER.items()}


class _Guest(fake.FakeInstance):
    """A FakeInstance with the state of the simulated domain."""

    def __init__(self, hypervisor: hv.Hypervisor, domain: hv.Domain):
        self._hypervisor = hypervisor
        self.name = domain.name
        self.uuid = domain.uuid

    @property
    def state(self) -> int:
        domain = self._hypervisor.get(self.uuid)
        return _POWER[domain.state] if domain else power_state.NOSTATE

    @state.setter
    def state(self, value: int) -> None:
        self._hypervisor.put(hv.Domain(self.uuid, self.name, _DOMAIN[value]))


class _Guests(MutableMapping):
    """The guests of the simulated hypervisor, in place of FakeDriver's dict."""

    def __init__(self, hypervisor: hv.Hypervisor):
        self._hypervisor = hypervisor

    def __getitem__(self, uuid: str) -> _Guest:
        domain = self._hypervisor.get(uuid)
        if domain is None:
            raise KeyError(uuid)
        return _Guest(self._hypervisor, domain)

    def __setitem__(self, uuid: str, guest: fake.FakeInstance) -> None:
        self._hypervisor.put(hv.Domain(uuid, guest.name, _DOMAIN[guest.state]))

    def __delitem__(self, uuid: str) -> None:
        self._hypervisor.remove(uuid)

    def __iter__(self) -> Iterator[str]:
        return iter(self._hypervisor.uuids())

    def __len__(self) -> int:
        return len(self._hypervisor.uuids())


class ColoFakeDriver(ColoDriverMixin, fake.FakeDriverWithoutFakeNodes):
    """compute_driver = colo.ColoFakeDriver"""

    def init_host(self, host: str) -> None:
        """Initialize the driver with the guests that run on this host already."""
        super().init_host(host)
        self.instances = _Guests(hv.Hypervisor(CONF.colo.simulated_directory, host))

    def list_instances(self) -> list[str]:
        """Return the names of all guests except secondaries."""
        return [self.instances[uuid].name for uuid in self.list_instance_uuids()]

    def resume_state_on_host_boot(self, context: Any, instance: Any, *args: Any, **kwargs: Any) -> None:
        """Start a guest after its host has lost power, which Nova's fake driver does not do."""
        super().resume_state_on_host_boot(context, instance, *args, **kwargs)
        if instance.uuid not in self.instances and not self._start_refusal(instance):
            self.instances[instance.uuid] = fake.FakeInstance(
                instance.name, power_state.RUNNING, instance.uuid
            )

    def _adopt(self, context: Any, instance: Any, network_info: Any, block_device_info: Any) -> None:
        LOG.debug("The simulated guest runs here already.", instance=instance)

    def _stop_demoted(self, instance: Any) -> None:
        self.instances.pop(instance.uuid, None)
