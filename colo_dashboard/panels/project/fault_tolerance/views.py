# SPDX-License-Identifier: Apache-2.0
"""The list of FT servers, the page of one, and the dialogs of its actions."""

import csv
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.generic import View
from horizon import exceptions, forms, messages, tables, tabs
from horizon.utils import functions
from novaclient import exceptions as nova_exceptions

from colo_dashboard import actions, api, history, pairs, reasons
from colo_dashboard.panels.project.fault_tolerance import forms as panel_forms
from colo_dashboard.panels.project.fault_tolerance import tables as panel_tables
from colo_dashboard.panels.project.fault_tolerance import tabs as panel_tabs
from novaclient_colo.exceptions import NotFaultTolerant
from novaclient_colo.fault_tolerance import STATE_SEVERITY, FaultTolerance, Page


class DashboardMixin:
    """The differences between the project and the admin dashboard."""

    dashboard = "project"
    all_projects = False

    def url(self, name: str, *args: str) -> str:
        """Return the URL of a page of the panel."""
        return reverse(f"horizon:{self.dashboard}:fault_tolerance:{name}", args=args)


def previous_markers(request: HttpRequest) -> list[str]:
    """Return the markers of the pages before the requested one: the last server of each."""
    return [marker for marker in request.GET.get("after", "").split(",") if marker]


def requested_page(request: HttpRequest, all_projects: bool) -> Page:
    """Return the page of the list that a request's URL describes."""
    query: dict[str, Any] = {name: request.GET.get(name) or None for name in panel_tables.FILTERS}
    query["sort_key"] = request.GET.get("sort", "health")
    query["sort_dir"] = "desc" if request.GET.get("dir") == "desc" else "asc"
    query["marker"] = next(reversed(previous_markers(request)), None)
    return api.list_pairs(request, all_projects, limit=functions.get_page_size(request), **query)


class IndexView(DashboardMixin, tables.DataTableView):
    """The list. Filters, order and page are in the URL, so that it can be bookmarked and shared."""

    table_class = panel_tables.FaultToleranceTable
    template_name = "colo_dashboard/fault_tolerance/index.html"
    page_title = gettext_lazy("Fault Tolerance")

    def get_data(self) -> list[pairs.PairRow]:
        self.current_page = None
        try:
            self.current_page = requested_page(self.request, self.all_projects)
        except api.API_ERRORS as error:
            message = _("Unable to list FT servers: %s") % api.explain(error)
            panel_tables.show_failure(self.request, self.table, message)
            return []
        if any(self.request.GET.get(name) for name in panel_tables.FILTERS):
            panel_tables.set_empty_message(self.table, _("No FT servers match the filter."))
        return self.rows(self.current_page.pairs)

    def rows(self, page_pairs: list[FaultTolerance]) -> list[pairs.PairRow]:
        """Return the rows of the table."""
        return [pairs.make_row(self.request, pair, self.dashboard) for pair in page_pairs]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        context["simulated"] = any(row.pair.simulated for row in self.table.data)
        context["filters"] = {name: self.request.GET.get(name, "") for name in panel_tables.FILTERS}
        context["sorting"] = {
            name: self.request.GET[name] for name in ("sort", "dir") if name in self.request.GET
        }
        context["dashboard"] = self.dashboard
        query = self.request.GET.urlencode()
        context["live_url"] = self.url("live") + (f"?{query}" if query else "")
        context["live_every"] = pairs.poll_interval()
        if self.current_page is not None:
            context["summary"] = self._summary(self.current_page.summary)
            context["secondaries"] = self.current_page.summary.get("secondaries")
            context["pages"] = self._pages(self.current_page.next_marker)
        return context

    def _summary(self, counted: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the states with their counts, each with the URL that filters the list by it."""
        chosen = self.request.GET.get("state", "")
        all_of_them = {
            "state": "",
            "badge": None,
            "count": counted["total"],
            "chosen": not chosen,
            "url": panel_tables.address_with(self.request, state=None),
        }
        return [all_of_them] + [
            {
                "state": state,
                "badge": pairs.badge(pairs.PROTECTION, state),
                "count": counted["state"].get(state, 0),
                "chosen": state == chosen,
                "url": panel_tables.address_with(self.request, state=state),
            }
            for state in STATE_SEVERITY
            if counted["state"].get(state)
            or state in ("protected", "degraded", "unprotected")
            or state == chosen
        ]

    def _pages(self, next_marker: str | None) -> dict[str, str]:
        """Return the URLs of the previous and the next page, if there are any."""
        pages, before = {}, previous_markers(self.request)
        if before:
            pages["previous"] = panel_tables.address_with(self.request, after=",".join(before[:-1]))
        if next_marker:
            pages["next"] = panel_tables.address_with(self.request, after=",".join([*before, next_marker]))
        return pages


class LiveView(DashboardMixin, View):
    """Changes on a page of the list for its script: figures as text, and a digest of everything else."""

    def pairs_on_page(self) -> list[FaultTolerance]:
        """Return the pairs on the page."""
        return requested_page(self.request, self.all_projects).pairs

    def get(self, request: HttpRequest, **kwargs: Any) -> JsonResponse:
        """Return ``{"rows": [{id, name, state, digest, figures}]}``, or ``{"error"}``; 404: no such pair."""
        try:
            page_pairs = self.pairs_on_page()
        except (nova_exceptions.NotFound, NotFaultTolerant) as error:
            return JsonResponse({"error": str(api.explain(error))}, status=404)
        except api.API_ERRORS as error:
            return JsonResponse({"error": str(api.explain(error))}, status=502)
        rows = [pairs.make_row(request, pair, self.dashboard) for pair in page_pairs]
        body = [
            {
                "id": row.id,
                "name": row.name,
                "state": str(row.protection.label),
                "digest": row.digest,
                "figures": row.figures,
            }
            for row in rows
        ]
        return JsonResponse({"rows": body})


class LiveDetailView(LiveView):
    """Changes on the page of one pair."""

    def pairs_on_page(self) -> list[FaultTolerance]:
        return [api.get_pair(self.request, self.kwargs["server_id"])]


class FlavorNamesView(View):
    """The labels of FT flavors in Horizon's launch dialog."""

    def get(self, request: HttpRequest) -> JsonResponse:
        """Return ``{"names": {id: name}}``, without ordinary flavors, or ``{"error"}``."""
        try:
            flavors = api.fault_tolerance(request).flavors.list()
        except api.API_ERRORS as error:
            return JsonResponse({"error": str(api.explain(error))}, status=502)
        return JsonResponse(
            {"names": {flavor.id: _("%s (fault tolerant)") % flavor.name for flavor in flavors}}
        )


class ActionView(DashboardMixin, forms.ModalFormView):
    """The dialog of one of the actions."""

    template_name = "colo_dashboard/fault_tolerance/action.html"

    @cached_property
    def action(self) -> actions.Action:
        """The action of the URL."""
        try:
            return actions.BY_SLUG[self.kwargs["slug"]]
        except KeyError:
            raise Http404 from None

    @cached_property
    def pair(self) -> FaultTolerance | None:
        """The pair; None if the API does not return it, with the reason in ``failure``."""
        try:
            return api.get_pair(self.request, self.kwargs["server_id"])
        except nova_exceptions.Unauthorized:
            exceptions.handle(self.request)
            raise
        except api.API_ERRORS as error:
            self.failure = api.explain(error)
            return None

    @property
    def success_url(self) -> str:
        """The URL of the list."""
        return self.url("index")

    @cached_property
    def forced(self) -> bool:
        """Whether a failover is possible with force only."""
        if self.action.slug != "failover" or self.pair is None or self.pair.permission("failover").allowed:
            return False
        return pairs.PairRow(self.pair, "", "", self.dashboard).can_be_forced

    def get_form_class(self) -> type[panel_forms.ActionForm]:
        return panel_forms.FORMS.get(self.action.slug, panel_forms.ActionForm)

    def get_initial(self) -> dict[str, Any]:
        initial: dict[str, Any] = {"action": self.action, "back": self.success_url, "forced": self.forced}
        if self.pair:
            initial |= {"pair": self.pair, "epoch": self.pair.epoch, "mode": self.pair.mode_policy}
            if self.action.slug == "migrate_secondary":
                initial["hosts"] = self.other_hosts(self.pair)
        return initial

    def other_hosts(self, pair: FaultTolerance) -> list[str]:
        """Return the hosts to choose from."""
        return []

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        slug, label = self.action.slug, self.action.label
        context |= {
            "modal_id": f"{slug}_modal",
            "form_id": f"{slug}_form",
            "submit_label": label,
            "page_title": label,
        }
        context["action"] = self.action
        if self.pair is None:
            # Shown in the dialog: Horizon's script follows no redirect when it opens one.
            return {**context, "refusal": self.failure}
        permission = reasons.permission(self.pair, self.action.wire)
        context["pair"] = self.pair
        context["sentence"] = self.action.sentence % {"name": self.pair.name}
        context["reason"] = (
            "" if permission.allowed else permission.reason or _("You are not allowed to do this.")
        )
        context["refusal"] = "" if self.forced else context["reason"]
        context["modal_header"] = _("%(action)s: %(name)s") % {"action": label, "name": self.pair.name}
        context["submit_url"] = self.url("action", self.pair.server_id, slug)
        return context

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if self.pair is None:
            messages.error(
                request, self.action.failed % {"name": self.kwargs["server_id"], "reason": self.failure}
            )
            return redirect(self.success_url)
        return super().post(request, *args, **kwargs)


class DetailView(DashboardMixin, tabs.TabView):
    """The page of one pair."""

    tab_group_class = panel_tabs.PairTabs
    template_name = "colo_dashboard/fault_tolerance/detail.html"
    page_title = "{{ pair.name }}"
    table_class = panel_tables.FaultToleranceTable
    _tab_group: Any  # Horizon's

    @cached_property
    def pair(self) -> FaultTolerance:
        """The pair."""
        try:
            return api.get_pair(self.request, self.kwargs["server_id"])
        except api.API_ERRORS as error:
            message = _("Unable to show the server's fault tolerance: %s") % api.explain(error)
            exceptions.handle(self.request, message, redirect=self.url("index"), details="")
            raise

    @cached_property
    def row(self) -> pairs.PairRow:
        """The row of the pair."""
        return pairs.make_row(self.request, self.pair, self.dashboard)

    def get_tabs(self, request: HttpRequest, *args: Any, **kwargs: Any) -> tabs.TabGroup:
        if self._tab_group is None:
            self._tab_group = self.tab_group_class(request, row=self.row, **kwargs)
        return self._tab_group

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        table = self.table_class(self.request)
        context |= {
            "pair": self.pair,
            "url": self.url("index"),
            "actions": table.render_row_actions(self.row),
        }
        return context


class CheckpointsView(DetailView):
    """The history of a pair's checkpoints as a file."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        pair = self.pair
        period = history.period(request.GET.get("period"))
        checkpoints = api.checkpoints(request, pair.server_id, period.since())
        response = HttpResponse(content_type="text/csv")
        response["Content-Disposition"] = (
            f'attachment; filename="checkpoints-{pair.server_id}-{period.slug}.csv"'
        )
        writer = csv.writer(response)
        writer.writerow(
            ("start", "seconds", "mismatch", "periodic", "forced", "pause_mean_ms", "pause_max_ms")
        )
        for bucket in checkpoints.buckets:
            pauses = bucket.pause_ms["mean"], bucket.pause_ms["max"]
            writer.writerow(
                (bucket.start, bucket.seconds, bucket.mismatch, bucket.periodic, bucket.forced, *pauses)
            )
        return response
