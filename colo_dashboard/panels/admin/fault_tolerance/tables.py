# SPDX-License-Identifier: Apache-2.0
"""The table of all projects' FT servers, with hosts."""

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from horizon import tables

from colo_dashboard import api, pairs
from colo_dashboard.panels.project.fault_tolerance import tables as project_tables
from novaclient_colo.fault_tolerance import Host


class UpdateRow(project_tables.UpdateRow):
    def get_data(self, request: HttpRequest, server_id: str) -> pairs.PairRow:
        pair = api.get_pair(request, server_id)
        project = api.project_name(request, pair.project_id)
        return pairs.make_row(request, pair, self.table.dashboard, project)


class FaultToleranceTable(project_tables.FaultToleranceTable):
    dashboard = "admin"
    SORT_KEYS = project_tables.FaultToleranceTable.SORT_KEYS | {
        "primary_host": "primary_host",
        "secondary_host": "secondary_host",
    }

    project = tables.Column("project", verbose_name=_("Project"), sortable=False)
    primary_host = tables.Column(
        "primary_host", verbose_name=_("Primary host"), classes=("colo-host",), sortable=False
    )
    secondary_host = project_tables.CellColumn(
        "secondary_host", verbose_name=_("Secondary host"), classes=("colo-host",), sortable=False
    )

    class Meta(project_tables.FaultToleranceTable.Meta):
        row_class = UpdateRow
        columns = (
            "name",
            "project",
            "protection",
            "health",
            "primary_host",
            "secondary_host",
            "last_checkpoint",
            "checkpoints",
            "pause",
            "failovers",
        )


class HostsTable(tables.DataTable):
    """The replicas and the unmet requirements of each host."""

    host = tables.Column("host", verbose_name=_("Host"), classes=("colo-host",))
    agent = project_tables.CellColumn(
        "agent", verbose_name=_("Agent"), classes=("colo-host",), sortable=False
    )
    capable = project_tables.CellColumn("capable", verbose_name=_("Can run secondaries"), sortable=False)
    primaries = tables.Column("primaries", verbose_name=_("Primaries"))
    secondaries = tables.Column("secondaries", verbose_name=_("Secondaries"))
    reserved_memory_mb = tables.Column("reserved_memory_mb", verbose_name=_("Reserved RAM (MB)"))
    versions = project_tables.CellColumn("versions", verbose_name=_("Versions"), sortable=False)

    def get_object_id(self, datum: Host) -> str:
        return datum.host

    def get_object_display(self, datum: Host) -> str:
        return datum.host

    class Meta:
        name = "fault_tolerance_hosts"
        verbose_name = _("Hosts")
        multi_select = False
        no_data_message = _("No host has an agent yet. Start nova-colo-agent on each compute host.")
