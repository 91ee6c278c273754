# SPDX-License-Identifier: Apache-2.0
"""The project panel's pages, for all projects."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from horizon import tables

from colo_dashboard import api, pairs
from colo_dashboard.panels.admin.fault_tolerance import tables as panel_tables
from colo_dashboard.panels.project.fault_tolerance import tables as project_tables
from colo_dashboard.panels.project.fault_tolerance import views
from novaclient_colo.fault_tolerance import FaultTolerance, Host


class OfAdmin:
    """See :class:`views.OfDashboard`."""

    dashboard = "admin"
    all_projects = True


class IndexView(OfAdmin, views.IndexView):
    table_class = panel_tables.FaultToleranceTable

    def rows(self, found: list[FaultTolerance]) -> list[pairs.PairRow]:
        names = api.project_names(self.request) if found else {}
        return [
            pairs.make_row(self.request, pair, self.dashboard, names.get(pair.project_id) or pair.project_id)
            for pair in found
        ]


class LiveView(OfAdmin, views.LiveView):
    pass


class LiveDetailView(OfAdmin, views.LiveDetailView):
    pass


class HostsView(OfAdmin, views.OfDashboard, tables.DataTableView):
    """What hosts carry."""

    table_class = panel_tables.HostsTable
    template_name = "colo_dashboard/fault_tolerance/admin_list.html"
    extra_context = {"here": "hosts"}
    page_title = gettext_lazy("Hosts")

    def get_data(self) -> list[Host]:
        try:
            return api.hosts(self.request)
        except api.API_ERRORS as error:
            message = _("The hosts could not be listed: %s") % api.explain(error)
            project_tables.show_failure(self.request, self.table, message)
            return []


class ActionView(OfAdmin, views.ActionView):
    def other_hosts(self, pair: FaultTolerance) -> list[str]:
        """Return those that can carry the secondary; none, and so no choice, where they cannot be listed."""
        try:
            return [
                found.host
                for found in api.hosts(self.request)
                if found.capable and found.host not in pairs.hosts_of(pair)
            ]
        except api.API_ERRORS:
            return []


class DetailView(OfAdmin, views.DetailView):
    table_class = panel_tables.FaultToleranceTable


class CheckpointsView(OfAdmin, views.CheckpointsView):
    pass
