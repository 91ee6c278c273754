# SPDX-License-Identifier: Apache-2.0
"""Plugin of ``openstack`` that provides ``client_manager.fault_tolerance`` to its commands."""

import argparse
from typing import Any

from novaclient_colo import client
from novaclient_colo.fault_tolerance import FaultToleranceManager

API_NAME = "fault_tolerance"
API_VERSION_OPTION = "os_fault_tolerance_api_version"
API_VERSIONS = {"1": "novaclient_colo.fault_tolerance.FaultToleranceManager"}
DEFAULT_API_VERSION = "1"


def make_client(instance: Any) -> FaultToleranceManager:
    """Return the manager for the compute endpoint of the other commands.

    :param instance: the client manager of openstackclient
    """
    compute = instance.compute
    # The SDK's endpoint, not the catalog's: a catalog may have the unversioned one, and only the SDK
    # discovers its versions.
    nova = client.make_client(instance.session, compute.region_name, endpoint_override=compute.get_endpoint())
    manager: FaultToleranceManager = nova.fault_tolerance
    return manager


def build_option_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add no global option: the API has one version."""
    return parser
