# SPDX-License-Identifier: Apache-2.0
"""The table of flavors."""

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from horizon import tables

from colo_dashboard.panels.project.fault_tolerance.tables import CellColumn
from novaclient_colo.flavors import FtFlavor


class CreateFlavor(tables.LinkAction):
    name = "create"
    verbose_name = _("Create FT flavor")
    url = "horizon:admin:fault_tolerance:flavors:create"
    classes = ("ajax-modal",)
    icon = "plus"


class SetFlavor(tables.LinkAction):
    name = "set"
    verbose_name = _("Make fault tolerant")
    url = "horizon:admin:fault_tolerance:flavors:set"
    classes = ("ajax-modal",)

    def update(self, request: HttpRequest, datum: FtFlavor) -> None:
        """Set the label for this flavor."""
        self.verbose_name = _("Change policy") if datum.enabled else _("Make fault tolerant")


class UnsetFlavor(tables.LinkAction):
    name = "unset"
    verbose_name = _("Remove fault tolerance")
    url = "horizon:admin:fault_tolerance:flavors:unset"
    classes = ("ajax-modal",)

    def allowed(self, request: HttpRequest, datum: FtFlavor | None = None) -> bool:
        return datum is not None and datum.enabled


class FlavorsTable(tables.DataTable):
    name = tables.Column("name", verbose_name=_("Name"))
    enabled = CellColumn("enabled", verbose_name=_("Fault tolerant"), sortable=False)
    vcpus = tables.Column("vcpus", verbose_name=_("vCPUs"))
    ram = tables.Column("ram", verbose_name=_("RAM (MB)"))
    disk = tables.Column("disk", verbose_name=_("Disk (GB)"))
    secondary_ram = tables.Column(
        lambda flavor: flavor.secondary_ram if flavor.enabled else "-",
        verbose_name=_("RAM of the secondary (MB)"),
    )
    access = tables.Column(
        lambda flavor: _("all projects") if flavor.is_public else _("some projects"), verbose_name=_("Access")
    )

    class Meta:
        name = "fault_tolerance_flavors"
        verbose_name = _("Flavors")
        table_actions = (CreateFlavor,)
        row_actions = (SetFlavor, UnsetFlavor)
        row_actions_dropdown_template = "colo_dashboard/fault_tolerance/_row_actions.html"
        multi_select = False
        no_data_message = _("No flavors exist yet.")
