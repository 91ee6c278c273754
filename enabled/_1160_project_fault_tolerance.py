# SPDX-License-Identifier: Apache-2.0
"""Project > Compute > Fault Tolerance. Put this file into openstack_dashboard/local/enabled/."""

PANEL = "fault_tolerance"
PANEL_DASHBOARD = "project"
PANEL_GROUP = "compute"
ADD_PANEL = "colo_dashboard.panels.project.fault_tolerance.panel.FaultTolerance"
