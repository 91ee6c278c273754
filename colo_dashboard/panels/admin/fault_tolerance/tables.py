# SPDX-License-Identifier: Apache-2.0
"""The table of all FT servers."""

from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from horizon import tables

from colo_dashboard import api, pairs


class CellColumn(tables.Column):
    """A column whose cells are drawn by the template of its name."""

    def get_data(self, datum: pairs.PairRow) -> str:
        cells = self.table._data_cache[self]
        if datum.id not in cells:
            cells[datum.id] = render_to_string(f"colo_dashboard/fault_tolerance/cells/{self.name}.html", {"row": datum})
        return cells[datum.id]


class FailOver(tables.LinkAction):
    name = "failover"
    verbose_name = _("Fail over")
    url = "horizon:admin:fault_tolerance:failover"
    classes = ("ajax-modal", "btn-danger")

    def update(self, request: HttpRequest, datum: pairs.PairRow) -> None:
        """Where the API says that it is not possible, say why instead."""
        allowed, reason = datum.pair.permission("failover")
        if datum.followed:
            # The API may not know yet what was asked for a moment ago.
            allowed, reason = False, _("A failover is under way.")
        if allowed:
            return
        # A link that can still be focused and touched: a disabled button shows its title to mouse users only.
        self.classes = ("disabled", "colo-refused")
        self.attrs.update({"title": reason, "data-toggle": "tooltip", "aria-disabled": "true", "role": "button"})
        self.refused = True

    def get_link_url(self, datum: pairs.PairRow | None = None) -> str:
        if datum is not None and getattr(self, "refused", False):
            return f"#{self.table.name}__row__{datum.id}"
        return super().get_link_url(datum)


class UpdateRow(tables.Row):
    ajax = True

    def get_data(self, request: HttpRequest, server_id: str) -> pairs.PairRow:
        pair = api.get_pair(request, server_id)
        return pairs.PairRow(pair, api.project_name(request, pair.project_id), pairs.is_followed(request, pair))


def server_url(datum: pairs.PairRow) -> str:
    """The server's own page."""
    return reverse("horizon:admin:instances:detail", args=(datum.id,))


class NameFilter(tables.NameFilterAction):
    """Horizon filters while typing, by any cell; this is what answers without JavaScript."""


# Horizon's parser for ages sorts by the data-seconds of the cell's first span, whatever the number means.
BY_NUMBER = {"data-type": "timesince"}


class FaultToleranceTable(tables.DataTable):
    STATUS_CHOICES = (("settled", True), ("error", False), ("moving", None))

    name = tables.WrappingColumn("name", verbose_name=_("Name"), link=server_url, classes=("colo-name",))
    project = tables.Column("project", verbose_name=_("Project"))
    protection = CellColumn("row_status", verbose_name=_("Protection"), status_choices=STATUS_CHOICES)
    health = CellColumn("health", verbose_name=_("Health"))
    primary_host = tables.Column("primary_host", verbose_name=_("Primary host"), classes=("colo-host",))
    secondary_host = CellColumn("secondary_host", verbose_name=_("Secondary host"), classes=("colo-host",))
    last_checkpoint = CellColumn("pair", verbose_name=_("Last checkpoint"), attrs=BY_NUMBER)
    checkpoints = CellColumn("pair", verbose_name=_("Checkpoints"), attrs=BY_NUMBER)
    failovers = CellColumn("pair", verbose_name=_("Failovers"), attrs=BY_NUMBER)

    def get_object_display(self, datum: pairs.PairRow) -> str:
        return datum.name

    class Meta:
        name = "fault_tolerance"
        verbose_name = _("FT servers")
        # Not status=True on the column: Horizon's script would then put a progress bar of its own beside ours.
        status_columns = ["protection"]
        row_class = UpdateRow
        row_actions = (FailOver,)
        table_actions = (NameFilter,)
        multi_select = False
        no_data_message = _(
            "There is no FT server yet. Launch a server from a flavor that has the extra spec ft:enabled=true; it is "
            "protected as soon as its secondary runs on another host."
        )


def show_failure(table: FaultToleranceTable, message: Any) -> None:
    """Make an empty table say that it could not be loaded, not that there is nothing."""
    table._no_data_message = message
