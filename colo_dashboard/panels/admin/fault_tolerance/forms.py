# SPDX-License-Identifier: Apache-2.0
"""The form behind the Fail over dialog."""

from typing import Any

from django import forms as django_forms
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from horizon import exceptions, forms, messages

from colo_dashboard import api, pairs


class FailoverForm(forms.SelfHandlingForm):
    """Fails over the pair the dialog described, and no other."""

    epoch = django_forms.IntegerField(widget=django_forms.HiddenInput())

    def handle(self, request: HttpRequest, data: dict[str, Any]) -> bool:
        pair = self.initial["pair"]
        if pair.epoch != data["epoch"]:
            messages.warning(request, _("%s has failed over meanwhile; nothing was done.") % pair.name)
            return True
        try:
            api.failover(request, pair.server_id)
        except api.API_ERRORS as error:
            message = _("Unable to fail over %(name)s: %(reason)s") % {"name": pair.name, "reason": api.explain(error)}
            exceptions.handle(request, message, redirect=reverse("horizon:admin:fault_tolerance:index"), details="")
            return False
        pairs.follow(request, pair)
        messages.info(request, _("Failover of %s was requested. Its row follows the progress.") % pair.name)
        return True
