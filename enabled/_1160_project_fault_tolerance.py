# SPDX-License-Identifier: Apache-2.0
"""Project > Compute > Fault Tolerance. Put this file into openstack_dashboard/local/enabled/."""

PANEL = "fault_tolerance"
PANEL_DASHBOARD = "project"
PANEL_GROUP = "compute"
ADD_PANEL = "colo_dashboard.panels.project.fault_tolerance.panel.FaultTolerance"
# Marks FT flavors in the launch dialog
ADD_ANGULAR_MODULES = ["colo_dashboard"]
ADD_JS_FILES = ["colo_dashboard/js/launch.js"]
# The same overview on Horizon's own page of a server
EXTRA_TABS = {
    "openstack_dashboard.dashboards.project.instances.tabs.InstanceDetailTabs": (
        "colo_dashboard.panels.project.fault_tolerance.tabs.InstanceTab",
    )
}
