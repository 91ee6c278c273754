# SPDX-License-Identifier: Apache-2.0
"""The forms of the dialogs of flavors."""

from typing import Any

from django import forms as django_forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy
from horizon import exceptions, forms, messages

from colo_dashboard import api
from colo_dashboard.panels.project.fault_tolerance.forms import MODES
from novaclient_colo.flavors import FtFlavor


class FlavorForm(forms.SelfHandlingForm):
    """A form that changes a flavor, and shows refusals of the API."""

    #: The messages of success and of refusal.
    done, failed = (
        gettext_lazy("Flavor %(name)s was changed."),
        gettext_lazy("Unable to change the flavor %(name)s: %(reason)s"),
    )

    def handle(self, request: HttpRequest, data: dict[str, Any]) -> bool:
        name = data.get("name") or self.initial["flavor"].name
        try:
            self.apply(request, data)
        except api.API_ERRORS as error:
            message = self.failed % {"name": name, "reason": api.explain(error)}
            if getattr(error, "code", None) in (400, 409):
                self.api_error(message)  # the dialog stays open: another value may be accepted
            else:
                exceptions.handle(request, message, redirect=self.initial["back"], details="")
            return False
        messages.success(request, self.done % {"name": name})
        return True

    def apply(self, request: HttpRequest, data: dict[str, Any]) -> None:
        """Send the request to the API."""
        raise NotImplementedError


class PolicyForm(FlavorForm):
    """The policy of fault tolerance of a flavor."""

    mode = django_forms.ChoiceField(
        choices=MODES, widget=django_forms.RadioSelect, label=gettext_lazy("Mode"), initial="colo"
    )
    checkpoint_interval_ms = django_forms.IntegerField(
        required=False,
        min_value=10,
        max_value=60000,
        label=gettext_lazy("Checkpoint interval (ms)"),
        help_text=gettext_lazy("For mode Checkpoint only. Leave empty for the hosts' default."),
    )
    auto_reprotect = django_forms.BooleanField(
        required=False, initial=True, label=gettext_lazy("Replace a lost secondary automatically")
    )

    def policy(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the policy as the client takes it."""
        return {name: data[name] for name in ("mode", "checkpoint_interval_ms", "auto_reprotect")}

    def apply(self, request: HttpRequest, data: dict[str, Any]) -> None:
        api.fault_tolerance(request).flavors.set(self.initial["flavor"], **self.policy(data))


class CreateForm(PolicyForm):
    done = gettext_lazy("FT flavor %(name)s was created.")
    failed = gettext_lazy("Unable to create the flavor %(name)s: %(reason)s")

    name = django_forms.CharField(max_length=255, label=gettext_lazy("Name"))
    vcpus = django_forms.IntegerField(min_value=1, initial=1, label=gettext_lazy("vCPUs"))
    ram = django_forms.IntegerField(
        min_value=1,
        label=gettext_lazy("RAM (MB)"),
        help_text=gettext_lazy("The secondary takes twice as much, on another host."),
    )
    disk = django_forms.IntegerField(min_value=0, initial=0, label=gettext_lazy("Disk (GB)"))
    projects = django_forms.MultipleChoiceField(
        required=False,
        label=gettext_lazy("Access for projects"),
        help_text=gettext_lazy("Select none to allow all projects."),
    )
    field_order = (
        "name",
        "vcpus",
        "ram",
        "disk",
        "mode",
        "checkpoint_interval_ms",
        "auto_reprotect",
        "projects",
    )

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        self.fields["projects"].choices = sorted(
            api.project_names(request).items(), key=lambda known: known[1]
        )

    def apply(self, request: HttpRequest, data: dict[str, Any]) -> None:
        size = data["name"], data["vcpus"], data["ram"], data["disk"]
        api.fault_tolerance(request).flavors.create(*size, projects=data["projects"], **self.policy(data))


class UnsetForm(FlavorForm):
    done = gettext_lazy("Fault tolerance was removed from flavor %(name)s.")

    def apply(self, request: HttpRequest, data: dict[str, Any]) -> None:
        api.fault_tolerance(request).flavors.unset(self.initial["flavor"])


def policy_of(flavor: FtFlavor) -> dict[str, Any]:
    """Return the policy of a flavor as initial values of the form."""
    if not flavor.enabled:
        return {}
    return {
        "mode": flavor.mode,
        "checkpoint_interval_ms": flavor.checkpoint_interval_ms,
        "auto_reprotect": flavor.auto_reprotect,
    }
