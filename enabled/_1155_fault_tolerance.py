# SPDX-License-Identifier: Apache-2.0
"""What the panels of fault tolerance have in common. Put this file into openstack_dashboard/local/enabled/, before theirs."""

FEATURE = "fault_tolerance"
ADD_INSTALLED_APPS = ["colo_dashboard"]
ADD_SCSS_FILES = ["colo_dashboard/scss/fault_tolerance.scss"]
ADD_JS_FILES = ["colo_dashboard/js/fault_tolerance.js"]
