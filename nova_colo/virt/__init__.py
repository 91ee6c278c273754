# SPDX-License-Identifier: Apache-2.0
"""The compute drivers, which do not interfere with pairs and adopt promoted secondaries."""
