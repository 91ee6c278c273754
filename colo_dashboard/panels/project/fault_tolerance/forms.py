# SPDX-License-Identifier: Apache-2.0
"""The forms of the dialogs of a pair's actions."""

from typing import Any

from django import forms as django_forms
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from horizon import exceptions, forms, messages

from colo_dashboard import api, pairs
from colo_dashboard.actions import Action
from novaclient_colo.fault_tolerance import FaultTolerance

MODES = (
    ("colo", gettext_lazy("COLO: synchronise when replies differ")),
    ("checkpoint", gettext_lazy("Checkpoint: synchronise at a fixed interval; replies wait for it")),
    ("hybrid", gettext_lazy("Hybrid: switch between the two, depending on how often replies differ")),
)


class ActionForm(forms.SelfHandlingForm):
    """A form that requests an action, if the pair is still in the epoch that the dialog showed."""

    epoch = django_forms.IntegerField(widget=django_forms.HiddenInput())

    @property
    def pair(self) -> FaultTolerance:
        """The pair at the time of the request."""
        pair: FaultTolerance = self.initial["pair"]
        return pair

    @property
    def action(self) -> Action:
        """The action to request."""
        action: Action = self.initial["action"]
        return action

    def arguments(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of the client's method besides the server."""
        return {}

    def handle(self, request: HttpRequest, data: dict[str, Any]) -> bool:
        pair, action = self.pair, self.action
        if pair.epoch != data["epoch"]:
            messages.warning(
                request, _("%s has failed over in the meantime; nothing was changed.") % pair.name
            )
            return True
        try:
            api.act(request, pair.server_id, action.slug, **self.arguments(data))
        except api.API_ERRORS as error:
            message = action.failed % {"name": pair.name, "reason": api.explain(error)}
            exceptions.handle(request, message, redirect=self.initial["back"], details="")
            return False
        pairs.follow(request, pair, "failover" if "failover" in action.slug else action.slug)
        messages.info(request, action.asked % {"name": pair.name})
        return True


class FailoverForm(ActionForm):
    """To fail over a pair whose state is not protected, the user must type the server's name."""

    force = django_forms.CharField(
        required=False,
        label=gettext_lazy("To force the failover, enter the name of the server"),
        help_text=gettext_lazy("No reply that a client has received is lost."),
        widget=django_forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        if not self.initial.get("forced"):
            del self.fields["force"]

    def clean_force(self) -> str:
        """Return the typed name if it is exactly the server's."""
        typed: str = self.cleaned_data["force"]
        if typed != self.pair.name:
            raise django_forms.ValidationError(_("This is not the name of the server: %s") % self.pair.name)
        return typed

    def arguments(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"force": True} if data.get("force") else {}


class TestFailoverForm(ActionForm):
    __test__ = False  # no test of pytest's

    and_return = django_forms.BooleanField(
        required=False, label=gettext_lazy("Fail back as soon as the server is protected again")
    )

    def arguments(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"and_return": data["and_return"]}


class MigrateSecondaryForm(ActionForm):
    """Users who may see hosts may choose one."""

    host = django_forms.ChoiceField(required=False, label=gettext_lazy("New host of the secondary"))

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        hosts = self.initial.get("hosts")
        if not hosts:
            del self.fields["host"]
        else:
            self.fields["host"].choices = [
                ("", _("Any host with capacity")),
                *((host, host) for host in hosts),
            ]

    def arguments(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"host": data.get("host") or None}


class SetModeForm(ActionForm):
    mode = django_forms.ChoiceField(
        choices=MODES, widget=django_forms.RadioSelect, label=gettext_lazy("Mode")
    )

    def arguments(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"mode": data["mode"]}


#: The forms of actions with fields; the others only need a confirmation.
FORMS: dict[str, type[ActionForm]] = {
    "failover": FailoverForm,
    "test_failover": TestFailoverForm,
    "migrate_secondary": MigrateSecondaryForm,
    "set_mode": SetModeForm,
}
