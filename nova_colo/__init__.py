# SPDX-License-Identifier: Apache-2.0
"""Fault-tolerant servers on stock Nova: API filter, engine, agent and compute-driver mixin."""
