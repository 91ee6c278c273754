# SPDX-License-Identifier: Apache-2.0
"""What makes stock Nova run fault-tolerant servers: API filter, engine, agent and compute-driver mixin."""
