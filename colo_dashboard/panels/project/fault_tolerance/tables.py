# SPDX-License-Identifier: Apache-2.0
"""The table of a project's FT servers."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from horizon import exceptions, tables

from colo_dashboard import actions, api, pairs, reasons

#: Filters of the list in its URL.
FILTERS = ("state", "name", "host")


def address_with(request: HttpRequest, **changes: str | None) -> str:
    """Return the URL of the first page of the list with its present filters and order, and with changes."""
    kept = {name: value for name, value in request.GET.items() if name in (*FILTERS, "sort", "dir")}
    return "?" + urlencode({name: value for name, value in (kept | changes).items() if value})


class CellColumn(tables.Column):
    """A column whose cells are rendered by the template of its name."""

    def get_data(self, datum: Any) -> str:
        cells, key = self.table._data_cache[self], self.table.get_object_id(datum)
        if key not in cells:
            cells[key] = render_to_string(
                f"colo_dashboard/fault_tolerance/cells/{self.name}.html", {"row": datum}
            )
        return cells[key]


class PairAction(tables.LinkAction):
    """A link to the dialog of an action, or the reason why the action is not possible."""

    action: actions.Action

    def allowed(self, request: HttpRequest, datum: pairs.PairRow | None = None) -> bool:
        return datum is not None and actions.is_offered(self.action, datum.pair)

    def update(self, request: HttpRequest, datum: pairs.PairRow) -> None:
        """Disable the link with the reason if the API does not allow the action."""
        allowed, reason = reasons.permission(datum.pair, self.action.wire)
        if datum.followed == "failover":
            # The API may not show yet an action that was just requested.
            allowed, reason = False, _("A failover is in progress.")
        if allowed or (self.action.slug == "failover" and datum.can_be_forced):
            return
        # The link can still be focused and touched: a disabled button shows its title to mouse users only.
        self.classes = ("disabled", "colo-refused")
        self.attrs.update(
            {"title": reason, "data-toggle": "tooltip", "aria-disabled": "true", "role": "button"}
        )
        self.refused = True

    def get_link_url(self, datum: pairs.PairRow) -> str:
        if getattr(self, "refused", False):
            return f"#{self.table.name}__row__{datum.id}"
        return reverse(
            f"horizon:{self.table.dashboard}:fault_tolerance:action", args=(datum.id, self.action.slug)
        )


def _link_to(action: actions.Action) -> type[PairAction]:
    classes = ("ajax-modal", "btn-danger") if action.danger else ("ajax-modal",)
    members = {
        "name": action.slug,
        "verbose_name": action.label,
        "url": "#",
        "classes": classes,
        "action": action,
    }
    return type(f"{action.slug.title().replace('_', '')}Link", (PairAction,), members)


PAIR_ACTIONS = tuple(_link_to(action) for action in actions.ACTIONS)


class UpdateRow(tables.Row):
    ajax = True

    def load_cells(self, datum: pairs.PairRow | None = None) -> None:
        super().load_cells(datum)
        self.attrs["data-ft-digest"] = self.datum.digest

    def get_data(self, request: HttpRequest, server_id: str) -> pairs.PairRow:
        pair = api.get_pair(request, server_id)
        return pairs.make_row(request, pair, self.table.dashboard)


class FaultToleranceTable(tables.DataTable):
    STATUS_CHOICES = (("settled", True), ("error", False), ("moving", None))
    #: The dashboard of its links.
    dashboard = "project"
    #: Sort keys of the API by column.
    SORT_KEYS = {
        "name": "name",
        "protection": "state",
        "health": "health",
        "checkpoints": "checkpoint_rate",
        "pause": "pause_p99_ms",
        "failovers": "failovers",
    }

    name = tables.WrappingColumn(
        "name",
        verbose_name=_("Name"),
        sortable=False,
        classes=("colo-name",),
        link=lambda datum: datum.url,
    )
    protection = CellColumn(
        "row_status", verbose_name=_("Protection"), status_choices=STATUS_CHOICES, sortable=False
    )
    health = CellColumn("health", verbose_name=_("Health"), sortable=False)
    last_checkpoint = CellColumn("pair", verbose_name=_("Last checkpoint"), sortable=False)
    checkpoints = CellColumn("pair", verbose_name=_("Checkpoints per minute"), sortable=False)
    pause = CellColumn("pair", verbose_name=_("Pause p99"), sortable=False)
    failovers = CellColumn("pair", verbose_name=_("Failovers"), sortable=False)

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        order, descending = request.GET.get("sort"), request.GET.get("dir") == "desc"
        for name, key in self.SORT_KEYS.items():
            self._sort_by(self.columns[name], key, order == key, descending)

    def _sort_by(self, column: tables.Column, key: str, sorted_by: bool, descending: bool) -> None:
        """Make a column's heading a link that sorts all servers by it, not only those on the page."""
        address = address_with(self.request, sort=key, dir="desc" if sorted_by and not descending else "asc")
        arrow = "fa-sort-desc" if descending else "fa-sort-asc"
        shown = format_html('<span class="fa {}" aria-hidden="true"></span>', arrow) if sorted_by else ""
        column.verbose_name = format_html(
            '<a class="colo-sort" href="{}">{} {}</a>', address, column.verbose_name, shown
        )
        if sorted_by:
            column.attrs["aria-sort"] = "descending" if descending else "ascending"

    def get_object_display(self, datum: pairs.PairRow) -> str:
        return datum.name

    class Meta:
        name = "fault_tolerance"
        verbose_name = _("FT servers")
        # Not status=True on the column: Horizon's script would then add a second progress bar.
        status_columns = ["protection"]
        row_class = UpdateRow
        row_actions = PAIR_ACTIONS
        row_actions_dropdown_template = "colo_dashboard/fault_tolerance/_row_actions.html"
        multi_select = False
        footer = False
        no_data_message = _(
            "No FT servers exist yet. Launch a server from a flavor that has the extra spec "
            "ft:enabled=true; it is protected as soon as its secondary runs on another host."
        )


def set_empty_message(table: tables.DataTable, message: Any) -> None:
    """Set the message that an empty table shows."""
    table._no_data_message = message


def show_failure(request: HttpRequest, table: tables.DataTable, message: Any) -> None:
    """Show on the page and in the table that it could not be loaded. Call it in the error's handler."""
    set_empty_message(table, message)
    exceptions.handle(request, message, details="")
