# SPDX-License-Identifier: Apache-2.0
"""QMP: commands, events, and the block graph, filters and migration of a pair."""
