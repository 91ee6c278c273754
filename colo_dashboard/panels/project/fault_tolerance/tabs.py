# SPDX-License-Identifier: Apache-2.0
"""The tabs of a pair's page."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from horizon import tabs

from colo_dashboard import api, history, pairs
from novaclient_colo.exceptions import NotFaultTolerant

#: Maximum number of events on the page.
EVENTS = 100


class PairTab(tabs.Tab):
    """A tab of a pair, which shows a message if data cannot be loaded."""

    def get_context_data(self, request: HttpRequest) -> dict[str, Any]:
        row: pairs.PairRow = self.tab_group.kwargs["row"]
        context = {"pair": row.pair, "row": row}
        try:
            return context | self.more(request, row)
        except api.API_ERRORS as error:
            return context | {"failure": api.explain(error)}

    def more(self, request: HttpRequest, row: pairs.PairRow) -> dict[str, Any]:
        """Return the context of the tab's template besides the pair."""
        return {}


class OverviewTab(PairTab):
    name = _("Overview")
    slug = "overview"
    template_name = "colo_dashboard/fault_tolerance/tabs/overview.html"

    def more(self, request: HttpRequest, row: pairs.PairRow) -> dict[str, Any]:
        url = reverse(f"horizon:{row.dashboard}:fault_tolerance:live_detail", args=(row.id,))
        return {"live_url": url, "live_every": pairs.poll_interval()}


class CheckpointsTab(PairTab):
    name = _("Checkpoints")
    slug = "checkpoints"
    template_name = "colo_dashboard/fault_tolerance/tabs/checkpoints.html"
    preload = False

    def more(self, request: HttpRequest, row: pairs.PairRow) -> dict[str, Any]:
        period = history.period(request.GET.get("period"))
        bars = history.bars(api.checkpoints(request, row.id, period.since()), period)
        table = [bar for bar in reversed(bars) if bar.total]
        url = reverse(f"horizon:{row.dashboard}:fault_tolerance:checkpoints", args=(row.id,))
        return {
            "chart": history.chart(bars),
            "bars": table,
            "total": sum(bar.total for bar in bars),
            "causes": history.CAUSES,
            "period": period,
            "periods": history.PERIODS,
            "csv_url": f"{url}?period={period.slug}",
            "tab": f"{self.tab_group.param_name}={self.get_id()}",
        }


class EventsTab(PairTab):
    name = _("Events")
    slug = "events"
    template_name = "colo_dashboard/fault_tolerance/tabs/events.html"
    preload = False

    def more(self, request: HttpRequest, row: pairs.PairRow) -> dict[str, Any]:
        events = api.events(request, row.id, EVENTS)
        names = api.user_names(request, filter(None, (event.user_id for event in events)))
        return {
            "events": [(event, names.get(event.user_id, event.user_id)) for event in events],
            "most": EVENTS,
        }


class PolicyTab(PairTab):
    name = _("Flavor and policy")
    slug = "policy"
    template_name = "colo_dashboard/fault_tolerance/tabs/policy.html"


class PairTabs(tabs.TabGroup):
    slug = "fault_tolerance_details"
    tabs = (OverviewTab, CheckpointsTab, EventsTab, PolicyTab)
    show_single_tab = True


class InstanceTab(tabs.Tab):
    """The overview of a pair on Horizon's own page of its server."""

    name = _("Fault Tolerance")
    slug = "fault_tolerance"
    template_name = "colo_dashboard/fault_tolerance/tabs/instance.html"
    preload = False
    dashboard = "project"

    def allowed(self, request: HttpRequest) -> bool:
        return api.supported(request)

    def get_context_data(self, request: HttpRequest) -> dict[str, Any]:
        try:
            pair = api.get_pair(request, self.tab_group.kwargs["instance"].id)
        except NotFaultTolerant:
            return {}
        except api.API_ERRORS as error:
            return {"failure": api.explain(error)}
        row = pairs.make_row(request, pair, self.dashboard)
        return {"pair": pair, "row": row}
