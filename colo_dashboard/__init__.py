# SPDX-License-Identifier: Apache-2.0
"""Horizon plugin: shows and steers COLO fault tolerance."""
