# SPDX-License-Identifier: Apache-2.0
"""The table's page and the Fail over dialog."""

from typing import Any

from django.urls import reverse, reverse_lazy
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from horizon import exceptions, forms, tables

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
    def pair(self) -> FaultTolerance:
        try:
            return api.get_pair(self.request, self.kwargs["server_id"])
        except api.API_ERRORS as error:
            message = _("The server cannot be failed over: %s") % api.explain(error)
            exceptions.handle(self.request, message, redirect=self.success_url, details="")
            raise

    def get_initial(self) -> dict[str, Any]:
        return {"pair": self.pair, "epoch": self.pair.epoch}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        context["pair"] = self.pair
        context["permission"] = self.pair.permission("failover")
        context["modal_header"] = _("Fail over %s") % self.pair.name
        context["submit_url"] = reverse("horizon:admin:fault_tolerance:failover", args=(self.pair.server_id,))
        return context
