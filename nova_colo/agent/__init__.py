# SPDX-License-Identifier: Apache-2.0
"""The per-host service that runs one replica of each pair."""
