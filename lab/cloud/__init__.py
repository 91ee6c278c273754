# SPDX-License-Identifier: Apache-2.0
"""The control plane of a lab: configuration, database schemas, services, seed data, and the class Lab."""
