# SPDX-License-Identifier: Apache-2.0
"""URLs of the panel."""

from django.urls import path

from colo_dashboard.panels.project.fault_tolerance import views

urlpatterns = [
    path("", views.IndexView.as_view(), name="index"),
    path("live/", views.LiveView.as_view(), name="live"),
    path("flavors/", views.FlavorNamesView.as_view(), name="flavors"),
    path("<uuid:server_id>/", views.DetailView.as_view(), name="detail"),
    path("<uuid:server_id>/live/", views.LiveDetailView.as_view(), name="live_detail"),
    path("<uuid:server_id>/checkpoints.csv", views.CheckpointsView.as_view(), name="checkpoints"),
    path("<uuid:server_id>/<slug:slug>/", views.ActionView.as_view(), name="action"),
]
