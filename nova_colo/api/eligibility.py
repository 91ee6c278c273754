# SPDX-License-Identifier: Apache-2.0
"""Eligibility of servers for fault tolerance: refuse requests for ineligible servers, with all problems.

A request that Nova will refuse anyway, as for an unknown flavor, is passed on to Nova.
"""

from collections.abc import Iterable
from typing import Any

import webob.exc
from nova import exception, objects
from nova.api.openstack import common, wsgi
from nova.image import glance
from nova.network import neutron
from oslo_log import log as logging
from oslo_serialization import jsonutils

from nova_colo.api.service import Service, refused
from nova_colo.pair import eligibility, reasons
from nova_colo.pair.model import is_fault_tolerant
from nova_colo.pair.reason import Reason

LOG = logging.getLogger(__name__)

_PORT_FIELDS = ["id", "binding:vnic_type", "resource_request", "device_profile"]
#: Embeds the properties that a server's image had when the server was built.
_IMAGE_PROPERTIES = "2.98"
_SHARES = "2.97"


def create(service: Service, nova: Any, request: wsgi.Request, server_id: None) -> None:
    """POST /servers

    :raises webob.exc.HTTPBadRequest: when the server is to be fault tolerant and cannot be
    """
    body = _server_body(request)
    if body is None or not _may_create(request):
        return
    extra_specs = _extra_specs(request, body["flavorRef"])
    if not is_fault_tolerant({"extra_specs": extra_specs}):
        return
    image = _image_properties(request, body.get("imageRef"))
    mappings = [*_mappings(body), *_dicts(image.get("block_device_mapping"))]
    boots_from, volumes = _volumes(mappings, has_image=bool(body.get("imageRef")))
    networks = _dicts(body.get("networks"))
    server = eligibility.Server(
        extra_specs=extra_specs,
        image=image,
        boots_from=boots_from,
        volumes=volumes,
        ports=tuple(
            _named_ports(request, [str(network["port"]) for network in networks if network.get("port")])
        ),
    )
    _refuse_ineligible(server, body["flavorRef"])


def resize(nova: Any, request: wsgi.Request, server_id: str, arguments: Any) -> None:
    """POST /servers/{id}/action with resize to a flavor with fault tolerance.

    :raises webob.exc.HTTPBadRequest: when the server cannot be fault tolerant
    """
    if not isinstance(arguments, dict) or not arguments.get("flavorRef"):
        return
    extra_specs = _extra_specs(request, arguments["flavorRef"])
    if not is_fault_tolerant({"extra_specs": extra_specs}):
        return
    server = _of_server(nova, request, server_id, extra_specs)
    if server is not None:
        _refuse_ineligible(server, arguments["flavorRef"])


def rebuild(request: wsgi.Request, arguments: Any) -> None:
    """POST /servers/{id}/action with rebuild of an FT server from another image.

    :raises webob.exc.HTTPBadRequest: when it could not be fault tolerant with that image
    """
    if isinstance(arguments, dict):
        image = _image_properties(request, arguments.get("imageRef"))
        _refuse_ineligible(eligibility.Server(extra_specs={}, image=image), None)


def protect(nova: Any, request: wsgi.Request, server_id: str) -> None:
    """POST /servers/{id}/action with ft-protect.

    Volumes or ports may have been attached since the server was last protected.

    :raises webob.exc.HTTPConflict: when the server cannot be fault tolerant as it is now
    """
    server = _of_server(nova, request, server_id)
    problems = eligibility.problems(server) if server else []
    if problems:
        raise refused(webob.exc.HTTPConflict, reasons.CANNOT_BE_FT(problems=problems))


def _of_server(
    nova: Any, request: wsgi.Request, server_id: str, extra_specs: dict[str, str] | None = None
) -> eligibility.Server | None:
    """Return the properties of an existing server, or None when Nova does not show it to the caller.

    :param extra_specs: those of the flavor that it is resized to; by default of its own flavor
    """
    path = f"/servers/{server_id}"
    if nova.fetch(request, path, _IMAGE_PROPERTIES).status_int != 200:
        return None
    body = nova.fetch(request, path, _IMAGE_PROPERTIES, elevated=True).json_body["server"]
    volumes = tuple(
        eligibility.VOLUME(volume=volume["id"])
        for volume in body.get("os-extended-volumes:volumes_attached", ())
    )
    ports = tuple(_attached_ports(request, server_id))
    shares = nova.fetch(request, f"{path}/shares", _SHARES, elevated=True)
    image = body["image"] or {}
    return eligibility.Server(
        extra_specs=body["flavor"].get("extra_specs", {}) if extra_specs is None else extra_specs,
        image=image.get("properties") or _image_properties(request, image.get("id")),
        boots_from=None if image else eligibility.ROOT_VOLUME(),
        volumes=volumes if image else volumes[1:],
        ports=ports,
        shares=tuple(share["share_id"] for share in shares.json_body["shares"])
        if shares.status_int == 200
        else (),
    )


def _server_body(request: wsgi.Request) -> dict[str, Any] | None:
    """Return the server in a body; None when Nova will refuse the body."""
    try:
        body = jsonutils.loads(request.body)
    except ValueError:
        return None
    server = body.get("server") if isinstance(body, dict) else None
    return server if isinstance(server, dict) and server.get("flavorRef") else None


def _may_create(request: wsgi.Request) -> bool:
    context = request.environ["nova.context"]
    own = {"project_id": context.project_id, "user_id": context.user_id}
    return bool(context.can("os_compute_api:servers:create", own, fatal=False))


def _extra_specs(request: wsgi.Request, reference: Any) -> dict[str, str]:
    """Return the extra specs of a flavor that the caller may use.

    They are read from Nova's database, since policy may hide them from the caller in the API.
    """
    try:
        flavor = objects.Flavor.get_by_flavor_id(
            request.environ["nova.context"], common.get_id_from_href(reference)
        )
    except exception.FlavorNotFound:
        return {}
    return dict(flavor.extra_specs)


def _image_properties(request: wsgi.Request, reference: Any) -> dict[str, Any]:
    if not reference:
        return {}
    try:
        image = glance.API().get(request.environ["nova.context"], common.get_id_from_href(reference))
    except Exception as error:  # Nova sends Glance the same request, and reports the error
        LOG.info("Image %s is not checked for eligibility: %s", reference, error)
        return {}
    return image.get("properties", {})


def _dicts(value: Any) -> list[dict[str, Any]]:
    """Return the dicts of a list; Nova refuses other items."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _mappings(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [*_dicts(body.get("block_device_mapping")), *_dicts(body.get("block_device_mapping_v2"))]


def _volumes(mappings: Iterable[dict[str, Any]], has_image: bool) -> tuple[Reason | None, tuple[Reason, ...]]:
    """Return the volume that a server boots from, or None, and its other volumes."""
    boots_from, others = None, []
    for mapping in mappings:
        name = _volume(mapping)
        if name and boots_from is None and (not has_image or str(mapping.get("boot_index")) == "0"):
            boots_from = name
        elif name:
            others.append(name)
    return boots_from, tuple(others)


def _volume(mapping: dict[str, Any]) -> Reason | None:
    """Return the name of the volume of a block device mapping of either version; None for a local disk."""
    if mapping.get("no_device"):
        return None
    for source, name in (("volume", eligibility.VOLUME), ("snapshot", eligibility.SNAPSHOT_VOLUME)):
        if mapping.get("source_type") == source or mapping.get(f"{source}_id"):
            source_id = mapping.get("uuid") or mapping.get(f"{source}_id") or ""
            return name(**{source: str(source_id)})
    return eligibility.NEW_VOLUME() if mapping.get("destination_type") == "volume" else None


def _named_ports(request: wsgi.Request, port_ids: list[str]) -> Iterable[eligibility.Port]:
    """Yield the ports that the caller may see, read as an admin: only admins see resource requests."""
    context = request.environ["nova.context"]
    for port_id in port_ids:
        try:
            neutron.API().show_port(context, port_id)
            yield _port(
                neutron.get_client(context, admin=True).show_port(port_id, fields=_PORT_FIELDS)["port"]
            )
        except Exception as error:  # Nova sends Neutron the same request, and reports the error
            LOG.info("Port %s is not checked for eligibility: %s", port_id, error)


def _attached_ports(request: wsgi.Request, server_id: str) -> Iterable[eligibility.Port]:
    try:
        client = neutron.get_client(request.environ["nova.context"], admin=True)
        ports = client.list_ports(device_id=server_id, fields=_PORT_FIELDS)["ports"]
    except Exception as error:
        LOG.warning("The ports of server %s are not checked for eligibility: %s", server_id, error)
        return ()
    return map(_port, ports)


def _port(body: dict[str, Any]) -> eligibility.Port:
    return eligibility.Port(
        id=body["id"],
        vnic_type=body.get("binding:vnic_type") or "normal",
        guaranteed=bool(body.get("resource_request")),
        device_profile=body.get("device_profile"),
    )


def _refuse_ineligible(server: eligibility.Server, flavor: Any) -> None:
    problems = eligibility.problems(server)
    if problems:
        remedy = [eligibility.OTHER_FLAVOR()] if flavor else []
        raise refused(webob.exc.HTTPBadRequest, reasons.CANNOT_BE_FT(problems=[*problems, *remedy]))
