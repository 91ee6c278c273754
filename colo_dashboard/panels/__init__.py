# SPDX-License-Identifier: Apache-2.0
"""Panels, by the dashboard they belong to."""
