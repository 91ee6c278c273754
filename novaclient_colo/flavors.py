# SPDX-License-Identifier: Apache-2.0
"""FT flavors: Nova's flavors with extra specs ``ft:*``, whose servers get a secondary."""

import contextlib
import copy
import logging
from collections.abc import Iterable, Iterator
from typing import Any
from urllib import parse

from novaclient import api_versions, base
from novaclient import exceptions as nova_exceptions
from oslo_utils import strutils

from novaclient_colo import paging

LOG = logging.getLogger(__name__)

#: From this microversion on Nova lists flavors with their extra specs, and refuses invalid ones.
VERSION = "2.86"
ENABLED, MODE, INTERVAL, REPROTECT = "ft:enabled", "ft:mode", "ft:checkpoint_interval_ms", "ft:auto_reprotect"
KEYS = (ENABLED, MODE, INTERVAL, REPROTECT)


class FtFlavor(base.Resource):
    """A flavor with its extra specs: ``id, name, vcpus, ram (MB), disk (GB), extra_specs``."""

    def __repr__(self) -> str:
        return f"<FtFlavor: {self.name}>"

    @property
    def enabled(self) -> bool:
        """Whether its servers get a secondary."""
        return strutils.bool_from_string(self.extra_specs.get(ENABLED, ""))

    @property
    def is_public(self) -> bool:
        """Whether all projects may use it."""
        return self._info["os-flavor-access:is_public"]

    @property
    def mode(self) -> str:
        """How its servers' pairs synchronise: colo, checkpoint or hybrid."""
        return self.extra_specs.get(MODE, "colo")

    @property
    def checkpoint_interval_ms(self) -> int | None:
        """Milliseconds between two periodic checkpoints in mode checkpoint; None for the hosts' default.

        An invalid value, which Nova accepts before microversion 2.86, is ignored with a warning.
        """
        value = self.extra_specs.get(INTERVAL)
        if value is not None and not value.isdecimal():
            LOG.warning("Flavor %s: %s=%s is not a number and is ignored.", self.name, INTERVAL, value)
            return None
        return int(value) if value is not None else None

    @property
    def auto_reprotect(self) -> bool:
        """Whether a lost secondary is replaced automatically."""
        return strutils.bool_from_string(self.extra_specs.get(REPROTECT, "true"), default=True)

    @property
    def secondary_ram(self) -> int:
        """Memory of the secondary on its host, in MB."""
        return 2 * self.ram


class FtFlavorManager:
    """FT flavors of a cloud: ``client.fault_tolerance.flavors``.

    A change applies to servers created or resized after it: a server keeps the flavor as it was when the
    server was created or last resized.

    :param api: a novaclient
    """

    def __init__(self, api: Any):
        self._api = api
        self._client = copy.copy(api.client)
        self._client.api_version = api_versions.APIVersion(VERSION)

    def list(self, every: bool = False) -> list[FtFlavor]:
        """List the FT flavors that the caller may see, by name; administrators see private ones too.

        :param every: include flavors that are not fault tolerant
        :returns: a list of :class:`FtFlavor`
        """
        return sorted(
            (flavor for flavor in self._iterate() if every or flavor.enabled), key=lambda flavor: flavor.name
        )

    def _iterate(self) -> Iterator[FtFlavor]:
        for _resp, body in paging.pages(
            self._client.get, "/flavors/detail", {"is_public": "None"}, "flavors"
        ):
            yield from (FtFlavor(self, flavor, loaded=True) for flavor in body["flavors"])

    def get(self, flavor: Any) -> FtFlavor:
        """Return one flavor.

        :param flavor: a flavor or its id
        :raises novaclient.exceptions.NotFound: no such flavor
        """
        _resp, body = self._client.get(_path_of(base.getid(flavor)))
        return FtFlavor(self, body["flavor"], loaded=True)

    def create(
        self,
        name: str,
        vcpus: int,
        ram: int,
        disk: int,
        *,
        mode: str | None = None,
        checkpoint_interval_ms: int | None = None,
        auto_reprotect: bool | None = None,
        projects: Iterable[str] = (),
        flavor_id: str = "auto",
    ) -> FtFlavor:
        """Create an FT flavor. If a part fails, the flavor is deleted again.

        :param ram: MB
        :param disk: GB
        :param mode: colo, checkpoint or hybrid; None for colo
        :param checkpoint_interval_ms: milliseconds between two periodic checkpoints; None for the hosts'
            default
        :param auto_reprotect: whether a lost secondary is replaced automatically; None for yes
        :param projects: ids of the projects that may use it; none for all projects
        :param flavor_id: by default a new UUID
        :raises novaclient.exceptions.Conflict: a flavor with that name or id exists
        :raises novaclient.exceptions.BadRequest: Nova refuses a value
        :raises novaclient.exceptions.Forbidden: the caller may not create flavors
        """
        allowed = [*projects]
        flavor = self._api.flavors.create(name, ram, vcpus, disk, flavorid=flavor_id, is_public=not allowed)
        try:
            self._set_specs(flavor.id, mode, checkpoint_interval_ms, auto_reprotect)
            for project in allowed:
                self._api.flavor_access.add_tenant_access(flavor, project)
        except BaseException:
            with contextlib.suppress(nova_exceptions.ClientException):  # the first error is raised
                flavor.delete()
            raise
        return self.get(flavor)

    def set(
        self,
        flavor: Any,
        *,
        mode: str | None = None,
        checkpoint_interval_ms: int | None = None,
        auto_reprotect: bool | None = None,
    ) -> FtFlavor:
        """Make a flavor an FT flavor, or change its policy; arguments that are None change nothing.

        :param flavor: a flavor or its id
        :raises novaclient.exceptions.BadRequest: Nova refuses a value; nothing is changed
        """
        self._set_specs(base.getid(flavor), mode, checkpoint_interval_ms, auto_reprotect)
        return self.get(flavor)

    def unset(self, flavor: Any) -> FtFlavor:
        """Make a flavor an ordinary one: remove its extra specs of fault tolerance.

        :param flavor: a flavor or its id
        """
        for key in [key for key in self.get(flavor).extra_specs if key.startswith("ft:")]:
            self._client.delete(f"{_specs_of(base.getid(flavor))}/{key}")
        return self.get(flavor)

    def _set_specs(
        self, flavor_id: str, mode: str | None, interval_ms: int | None, auto_reprotect: bool | None
    ) -> None:
        values = {
            MODE: mode,
            INTERVAL: interval_ms,
            REPROTECT: None if auto_reprotect is None else int(auto_reprotect),
        }
        specs = {ENABLED: "1"} | {name: str(value) for name, value in values.items() if value is not None}
        self._client.post(_specs_of(flavor_id), body={"extra_specs": specs})


def _path_of(flavor_id: str) -> str:
    return f"/flavors/{parse.quote(flavor_id, safe='')}"


def _specs_of(flavor_id: str) -> str:
    return f"{_path_of(flavor_id)}/os-extra_specs"
