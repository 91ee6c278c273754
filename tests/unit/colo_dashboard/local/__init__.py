# SPDX-License-Identifier: Apache-2.0
"""What openstack_dashboard.settings finds under this name in a deployment."""
