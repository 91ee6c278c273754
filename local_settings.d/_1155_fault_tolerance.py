# SPDX-License-Identifier: Apache-2.0
"""Settings of the fault tolerance panels. Put this file into openstack_dashboard/local/local_settings.d/."""

from pathlib import Path

from openstack_dashboard import defaults

import colo_dashboard

# Policy of the panels: nova_colo's defaults, and this cloud's overrides in a file beside Horizon's other
# policy files. The API enforces its own policy in any case.
POLICY_FILES = globals().get("POLICY_FILES", defaults.POLICY_FILES) | {
    "fault_tolerance": "fault_tolerance_policy.yaml"
}
DEFAULT_POLICY_FILES = globals().get("DEFAULT_POLICY_FILES", defaults.DEFAULT_POLICY_FILES) | {
    "fault_tolerance": str(Path(colo_dashboard.__file__).parent / "conf" / "default_policies.yaml")
}

# Seconds between two polls of an open page. Each is one request to the API.
FAULT_TOLERANCE_POLL_INTERVAL = 5

# Servers on a page, for users who have not chosen: Horizon's own setting, for all of its pages.
# API_RESULT_PAGE_SIZE = 20
