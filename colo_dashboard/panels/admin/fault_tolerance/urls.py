# SPDX-License-Identifier: Apache-2.0
"""URLs of the panel."""

from django.urls import path

from colo_dashboard.panels.admin.fault_tolerance import views

urlpatterns = [
    path("", views.IndexView.as_view(), name="index"),
    path("<str:server_id>/failover/", views.FailoverView.as_view(), name="failover"),
]
