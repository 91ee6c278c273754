# SPDX-License-Identifier: Apache-2.0
"""The package that openstack_dashboard.settings imports under this name in a deployment."""
