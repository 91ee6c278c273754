# SPDX-License-Identifier: Apache-2.0
"""URLs of the flavors."""

from django.urls import path

from colo_dashboard.panels.admin.fault_tolerance.flavors import views

app_name = "flavors"
urlpatterns = [
    path("", views.IndexView.as_view(), name="index"),
    path("create/", views.CreateView.as_view(), name="create"),
    path("<str:flavor_id>/set/", views.SetView.as_view(), name="set"),
    path("<str:flavor_id>/unset/", views.UnsetView.as_view(), name="unset"),
]
