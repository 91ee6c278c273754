# SPDX-License-Identifier: Apache-2.0
"""Projects, users, roles and the service catalog."""

from typing import Any

from openstack.connection import Connection

from lab.cloud.spec import CATALOG, REGION, Spec

#: user -> its roles in each project
ROLES: dict[str, dict[str, tuple[str, ...]]] = {
    "admin": {"demo": ("admin",)},
    "service": {"service": ("admin", "service")},
    "demo": {"demo": ("member",)},
    "manager": {"demo": ("manager",)},
    "viewer": {"demo": ("reader",)},
    "outsider": {"other": ("manager",)},
}


def seed_identity(cloud: Connection, spec: Spec) -> None:
    """Create the users with their roles, and the catalog with the addresses of this lab."""
    _seed_users(cloud, spec)
    _seed_catalog(cloud, spec)


def _seed_users(cloud: Connection, spec: Spec) -> None:
    identity: Any = cloud.identity  # its declared type is a union with version 2
    roles = {role.name: role for role in identity.roles()}
    projects = {project.name: project for project in identity.projects()}
    users = {user.name: user for user in identity.users()}
    for name, grants in ROLES.items():
        for project_name, role_names in grants.items():
            project = projects.get(project_name)
            if project is None:
                project = projects[project_name] = identity.create_project(
                    name=project_name, domain_id="default"
                )
            user = users.get(name)
            if user is None:
                user = users[name] = identity.create_user(
                    name=name,
                    password=spec.passwords[name],
                    domain_id="default",
                    default_project_id=project.id,
                )
            for role_name in role_names:
                identity.assign_project_role_to_user(project, user, roles[role_name])


def _seed_catalog(cloud: Connection, spec: Spec) -> None:
    identity: Any = cloud.identity
    services = {service.type: service for service in identity.services()}
    endpoints = {(endpoint.service_id, endpoint.interface): endpoint for endpoint in identity.endpoints()}
    for catalog_type in ("identity", *CATALOG):
        service = services.get(catalog_type)
        if service is None:
            service = identity.create_service(
                name=CATALOG[catalog_type][0].removesuffix("-api"), type=catalog_type
            )
        url = spec.endpoint(catalog_type)
        for interface in ("public", "internal", "admin"):
            endpoint = endpoints.get((service.id, interface))
            if endpoint is None:
                identity.create_endpoint(
                    service_id=service.id, interface=interface, url=url, region_id=REGION
                )
            elif endpoint.url != url:
                identity.update_endpoint(endpoint, url=url)
