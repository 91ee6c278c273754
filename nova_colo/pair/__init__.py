# SPDX-License-Identifier: Apache-2.0
"""The core: the model of a pair and the decisions about it. No I/O, no clock, no imports of siblings."""
