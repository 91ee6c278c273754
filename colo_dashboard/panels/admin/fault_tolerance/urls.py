# SPDX-License-Identifier: Apache-2.0
"""URLs of the panel."""

from django.urls import include, path

from colo_dashboard.panels.admin.fault_tolerance import views

urlpatterns = [
    path("", views.IndexView.as_view(), name="index"),
    path("live/", views.LiveView.as_view(), name="live"),
    path("hosts/", views.HostsView.as_view(), name="hosts"),
    path(
        "flavors/", include("colo_dashboard.panels.admin.fault_tolerance.flavors.urls", namespace="flavors")
    ),
    path("<uuid:server_id>/", views.DetailView.as_view(), name="detail"),
    path("<uuid:server_id>/live/", views.LiveDetailView.as_view(), name="live_detail"),
    path("<uuid:server_id>/checkpoints.csv", views.CheckpointsView.as_view(), name="checkpoints"),
    path("<uuid:server_id>/<slug:slug>/", views.ActionView.as_view(), name="action"),
]
