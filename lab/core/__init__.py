# SPDX-License-Identifier: Apache-2.0
"""The base of the lab: processes, steps, folders, ports, and the state of one lab."""
