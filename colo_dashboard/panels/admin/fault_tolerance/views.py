# SPDX-License-Identifier: Apache-2.0
"""The project panel's pages, for all projects."""

from colo_dashboard import api, pairs
from colo_dashboard.panels.admin.fault_tolerance import tables as panel_tables
from colo_dashboard.panels.project.fault_tolerance import views
from novaclient_colo.fault_tolerance import FaultTolerance


class OfAdmin:
    """See :class:`views.OfDashboard`."""

    dashboard = "admin"
    all_projects = True


class IndexView(OfAdmin, views.IndexView):
    table_class = panel_tables.FaultToleranceTable

    def rows(self, found: list[FaultTolerance]) -> list[pairs.PairRow]:
        names = api.project_names(self.request) if found else {}
        return [
            pairs.PairRow(pair, names.get(pair.project_id, pair.project_id), pairs.followed(self.request, pair), self.dashboard)
            for pair in found
        ]


class LiveView(OfAdmin, views.LiveView):
    pass


class ActionView(OfAdmin, views.ActionView):
    def other_hosts(self, pair: FaultTolerance) -> list[str]:
        """Return those that can carry the secondary; none, and so no choice, where they cannot be listed."""
        try:
            return [found.host for found in api.hosts(self.request) if found.capable and found.host not in pairs.hosts_of(pair)]
        except api.API_ERRORS:
            return []


class DetailView(OfAdmin, views.DetailView):
    table_class = panel_tables.FaultToleranceTable


class CheckpointsView(OfAdmin, views.CheckpointsView):
    pass
