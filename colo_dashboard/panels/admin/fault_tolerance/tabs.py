# SPDX-License-Identifier: Apache-2.0
"""What administrators see of a pair on Horizon's page of its server."""

from colo_dashboard.panels.project.fault_tolerance import tabs


class InstanceTab(tabs.InstanceTab):
    dashboard = "admin"
