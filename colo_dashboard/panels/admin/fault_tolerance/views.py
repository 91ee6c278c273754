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


class AdminMixin:
    """The admin dashboard's values of :class:`views.DashboardMixin`."""

    dashboard = "admin"
    all_projects = True


class IndexView(AdminMixin, views.IndexView):
    table_class = panel_tables.FaultToleranceTable

    def rows(self, page_pairs: list[FaultTolerance]) -> list[pairs.PairRow]:
        names = api.project_names(self.request) if page_pairs else {}
        return [
            pairs.make_row(self.request, pair, self.dashboard, names.get(pair.project_id) or pair.project_id)
            for pair in page_pairs
        ]


class LiveView(AdminMixin, views.LiveView):
    pass


class LiveDetailView(AdminMixin, views.LiveDetailView):
    pass


class HostsView(AdminMixin, views.DashboardMixin, tables.DataTableView):
    """The list of hosts."""

    table_class = panel_tables.HostsTable
    template_name = "colo_dashboard/fault_tolerance/admin_list.html"
    extra_context = {"here": "hosts"}
    page_title = gettext_lazy("Hosts")

    def get_data(self) -> list[Host]:
        try:
            return api.hosts(self.request)
        except api.API_ERRORS as error:
            message = _("Unable to list hosts: %s") % api.explain(error)
            project_tables.show_failure(self.request, self.table, message)
            return []


class ActionView(AdminMixin, views.ActionView):
    def other_hosts(self, pair: FaultTolerance) -> list[str]:
        """Return the hosts that can carry the secondary; none, and so no choice, if they cannot be listed."""
        try:
            return [
                host.host
                for host in api.hosts(self.request)
                if host.capable and host.host not in pairs.hosts_of(pair)
            ]
        except api.API_ERRORS:
            return []


class DetailView(AdminMixin, views.DetailView):
    table_class = panel_tables.FaultToleranceTable


class CheckpointsView(AdminMixin, views.CheckpointsView):
    pass
