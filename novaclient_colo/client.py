# SPDX-License-Identifier: Apache-2.0
"""A novaclient with fault tolerance, created from a keystoneauth1 session."""

from typing import Any

from keystoneauth1 import session as keystone_session
from novaclient import client, extension

from novaclient_colo import shell

# Every method here works at the lowest microversion.
API_VERSION = "2.1"


def make_client(
    session: keystone_session.Session,
    region_name: str | None = None,
    interface: str = "public",
    endpoint_override: str | None = None,
    **kwargs: Any,
) -> Any:
    """Return a novaclient with the ``fault_tolerance`` manager.

    :param session: an authenticated keystoneauth1 session
    :param region_name: region whose compute endpoint is used
    :param interface: interface of the compute endpoint
    :param endpoint_override: the compute endpoint itself, instead of the catalog's
    :param kwargs: further arguments of ``novaclient.client.Client``
    :returns: a novaclient; ``fault_tolerance`` is a
        :class:`novaclient_colo.fault_tolerance.FaultToleranceManager`
    """
    return client.Client(
        API_VERSION,
        session=session,
        region_name=region_name,
        endpoint_type=interface,
        endpoint_override=endpoint_override,
        extensions=[extension.Extension("fault_tolerance", shell)],
        **kwargs,
    )
