# SPDX-License-Identifier: Apache-2.0
"""Workflows: the engine's operations on a pair."""
