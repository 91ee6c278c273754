# SPDX-License-Identifier: Apache-2.0
"""Common parts of the fault tolerance panels.

Put this file into openstack_dashboard/local/enabled/; its name sorts before the panels' files.
"""

FEATURE = "fault_tolerance"
ADD_INSTALLED_APPS = ["colo_dashboard"]
ADD_SCSS_FILES = ["colo_dashboard/scss/fault_tolerance.scss"]
ADD_JS_FILES = ["colo_dashboard/js/fault_tolerance.js"]
