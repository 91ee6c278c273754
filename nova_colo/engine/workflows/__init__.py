# SPDX-License-Identifier: Apache-2.0
"""Workflows: what the engine does to a pair, step by step."""
