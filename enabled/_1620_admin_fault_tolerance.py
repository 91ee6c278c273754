# SPDX-License-Identifier: Apache-2.0
"""Admin > Compute > Fault Tolerance. Put this file into openstack_dashboard/local/enabled/."""

PANEL = "fault_tolerance"
PANEL_DASHBOARD = "admin"
PANEL_GROUP = "compute"
ADD_PANEL = "colo_dashboard.panels.admin.fault_tolerance.panel.FaultTolerance"
# The same overview on Horizon's own page of a server
EXTRA_TABS = {
    "openstack_dashboard.dashboards.admin.instances.tabs.AdminInstanceDetailTabs": (
        "colo_dashboard.panels.admin.fault_tolerance.tabs.InstanceTab",
    )
}
