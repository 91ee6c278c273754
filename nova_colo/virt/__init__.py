# SPDX-License-Identifier: Apache-2.0
"""What nova-compute needs to leave pairs alone and to adopt promoted secondaries."""
