# SPDX-License-Identifier: Apache-2.0
"""The table's page and the Fail over dialog."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse, reverse_lazy
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from horizon import exceptions, forms, messages, tables
from novaclient import exceptions as nova_exceptions

from colo_dashboard import api, pairs
from colo_dashboard.panels.admin.fault_tolerance import forms as panel_forms
from colo_dashboard.panels.admin.fault_tolerance import tables as panel_tables
from novaclient_colo.fault_tolerance import FaultTolerance


class IndexView(tables.DataTableView):
    table_class = panel_tables.FaultToleranceTable
    template_name = "colo_dashboard/fault_tolerance/index.html"
    page_title = gettext_lazy("Fault Tolerance")

    def get_data(self) -> list[pairs.PairRow]:
        try:
            found = api.list_pairs(self.request, all_projects=True)
        except api.API_ERRORS as error:
            message = _("The FT servers could not be listed: %s") % api.explain(error)
            panel_tables.show_failure(self.table, message)
            exceptions.handle(self.request, message, details="")
            return []
        names = api.project_names(self.request) if found else {}
        return [
            pairs.PairRow(pair, names.get(pair.project_id, pair.project_id), pairs.is_followed(self.request, pair))
            for pair in found
        ]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        context["simulated"] = any(row.pair.simulated for row in self.table.data)
        return context


class FailoverView(forms.ModalFormView):
    form_class = panel_forms.FailoverForm
    template_name = "colo_dashboard/fault_tolerance/failover.html"
    modal_id = "failover_modal"
    form_id = "failover_form"
    page_title = gettext_lazy("Fail over")
    submit_label = gettext_lazy("Fail over")
    success_url = reverse_lazy("horizon:admin:fault_tolerance:index")

    @cached_property
    def pair(self) -> FaultTolerance | None:
        """The pair; None where the API does not give it, ``failure`` says why."""
        try:
            return api.get_pair(self.request, self.kwargs["server_id"])
        except nova_exceptions.Unauthorized:
            exceptions.handle(self.request)
            raise
        except api.API_ERRORS as error:
            self.failure = api.explain(error)
            return None

    def get_initial(self) -> dict[str, Any]:
        return {"pair": self.pair, "epoch": self.pair.epoch} if self.pair else {}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        if self.pair is None:
            # Told in the dialog: Horizon's script follows no redirect when it opens one.
            return {**context, "refusal": self.failure}
        permission = self.pair.permission("failover")
        context["pair"] = self.pair
        context["refusal"] = "" if permission.allowed else permission.reason or _("You may not do this.")
        context["modal_header"] = _("Fail over %s") % self.pair.name
        context["submit_url"] = reverse("horizon:admin:fault_tolerance:failover", args=(self.pair.server_id,))
        return context

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if self.pair is None:
            messages.error(request, _("The server was not failed over: %s") % self.failure)
            return redirect(self.success_url)
        return super().post(request, *args, **kwargs)
