# SPDX-License-Identifier: Apache-2.0
"""State of a compute host that nova-compute and the agent share, as files."""
