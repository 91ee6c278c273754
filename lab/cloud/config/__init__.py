# SPDX-License-Identifier: Apache-2.0
"""The services' configuration files: one module per service, with functions that return its options."""
