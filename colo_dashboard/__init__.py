# SPDX-License-Identifier: Apache-2.0
"""Horizon plugin for COLO fault tolerance."""
