# SPDX-License-Identifier: Apache-2.0
"""The flavors whose servers are fault tolerant, and how one is made."""
