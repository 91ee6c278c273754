# SPDX-License-Identifier: Apache-2.0
"""The list of flavors, and the dialogs that create, change and unset FT flavors."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse, reverse_lazy
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from horizon import forms, messages, tables

from colo_dashboard import api
from colo_dashboard.panels.admin.fault_tolerance.flavors import forms as flavor_forms
from colo_dashboard.panels.admin.fault_tolerance.flavors import tables as flavor_tables
from colo_dashboard.panels.project.fault_tolerance.tables import show_failure
from novaclient_colo.flavors import FtFlavor

INDEX = "horizon:admin:fault_tolerance:flavors:index"


class IndexView(tables.DataTableView):
    """All flavors, the fault tolerant ones first."""

    table_class = flavor_tables.FlavorsTable
    template_name = "colo_dashboard/fault_tolerance/admin_list.html"
    extra_context = {"here": "flavors"}
    page_title = gettext_lazy("Flavors")

    def get_data(self) -> list[FtFlavor]:
        try:
            flavors: list[FtFlavor] = api.fault_tolerance(self.request).flavors.list(every=True)
        except api.API_ERRORS as error:
            message = _("Unable to list flavors: %s") % api.explain(error)
            show_failure(self.request, self.table, message)
            return []
        return sorted(flavors, key=lambda flavor: (not flavor.enabled, flavor.name))


class DialogView(forms.ModalFormView):
    """A dialog about flavors."""

    template_name = "colo_dashboard/fault_tolerance/flavor.html"
    success_url = reverse_lazy(INDEX)
    sentence: Any = ""

    @property
    def submit_url(self) -> str:
        """The URL of the dialog itself."""
        return self.request.get_full_path()

    def get_initial(self) -> dict[str, Any]:
        return {"back": reverse(INDEX)}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        names = {
            "page_title": self.submit_label,
            "modal_header": self.submit_label,
            "sentence": self.sentence,
        }
        return super().get_context_data(**kwargs) | names


class CreateView(DialogView):
    form_class = flavor_forms.CreateForm
    form_id, modal_id = "create_flavor_form", "create_flavor_modal"
    submit_label = gettext_lazy("Create FT flavor")
    sentence = gettext_lazy(
        "Servers of this flavor run on two hosts at once. Secondaries do not count against quotas."
    )


class OneFlavorView(DialogView):
    """A dialog about one flavor."""

    @cached_property
    def flavor(self) -> FtFlavor:
        """The flavor."""
        flavor: FtFlavor = api.fault_tolerance(self.request).flavors.get(self.kwargs["flavor_id"])
        return flavor

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Redirect to the list if there is no such flavor."""
        try:
            self.flavor  # noqa: B018  the only request for it
        except api.API_ERRORS as error:
            messages.error(request, _("Unable to show the flavor: %s") % api.explain(error))
            return redirect(INDEX)
        return super().dispatch(request, *args, **kwargs)

    def get_initial(self) -> dict[str, Any]:
        return super().get_initial() | {"flavor": self.flavor} | flavor_forms.policy_of(self.flavor)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {
            "modal_header": f"{self.submit_label}: {self.flavor.name}"
        }


class SetView(OneFlavorView):
    form_class = flavor_forms.PolicyForm
    form_id, modal_id = "set_flavor_form", "set_flavor_modal"
    sentence = gettext_lazy(
        "New servers of this flavor run on two hosts at once: the secondary takes the same vCPUs and "
        "disk, and twice the RAM. Existing servers keep the flavor as it was when they were created "
        "or last resized."
    )

    @property
    def submit_label(self) -> str:
        """The label of the flavor's action in the list."""
        return _("Change policy") if self.flavor.enabled else _("Make fault tolerant")


class UnsetView(OneFlavorView):
    form_class = flavor_forms.UnsetForm
    form_id, modal_id = "unset_flavor_form", "unset_flavor_modal"
    submit_label = gettext_lazy("Remove fault tolerance")
    sentence = gettext_lazy(
        "New servers of this flavor run on one host. Existing servers keep the flavor as it was when "
        "they were created or last resized."
    )
