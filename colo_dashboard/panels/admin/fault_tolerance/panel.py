# SPDX-License-Identifier: Apache-2.0
"""The panel: shown to admins of a cloud that has fault tolerance."""

from typing import Any

import horizon
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from colo_dashboard import api


class FaultTolerance(horizon.Panel):
    name = _("Fault Tolerance")
    slug = "fault_tolerance"
    permissions = ("openstack.services.compute",)
    policy_rules = (
        (
            ("compute", "context_is_admin"),
            ("fault_tolerance", "os_compute_api:os-fault-tolerance:index:all_tenants"),
        ),
    )

    def allowed(self, context: dict[str, Any]) -> bool:
        request = context["request"]
        if ("compute" in settings.SYSTEM_SCOPE_SERVICES) != bool(request.user.system_scoped):
            return False
        return super().allowed(context) and api.supported(request)
