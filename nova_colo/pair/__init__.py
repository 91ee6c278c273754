# SPDX-License-Identifier: Apache-2.0
"""The core: what a pair is and what should be done about it. Pure: no I/O, no clock, no imports from its siblings."""
