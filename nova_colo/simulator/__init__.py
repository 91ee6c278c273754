# SPDX-License-Identifier: Apache-2.0
"""A simulated hypervisor and its replication backend, for trying and testing without QEMU."""
