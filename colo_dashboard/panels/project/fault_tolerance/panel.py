# SPDX-License-Identifier: Apache-2.0
"""The panel: shown to all users of a cloud that has fault tolerance."""

from typing import Any

import horizon
from django.utils.translation import gettext_lazy as _

from colo_dashboard import api


class FaultTolerance(horizon.Panel):
    name = _("Fault Tolerance")
    slug = "fault_tolerance"
    permissions = ("openstack.services.compute",)
    policy_rules = ((("fault_tolerance", "os_compute_api:os-fault-tolerance:index"),),)

    def allowed(self, context: dict[str, Any]) -> bool:
        return super().allowed(context) and api.supported(context["request"])
