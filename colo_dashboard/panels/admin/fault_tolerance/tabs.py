# SPDX-License-Identifier: Apache-2.0
"""The tab of a pair on Horizon's page of its server, for administrators."""

from colo_dashboard.panels.project.fault_tolerance import tabs


class InstanceTab(tabs.InstanceTab):
    dashboard = "admin"
