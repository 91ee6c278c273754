# SPDX-License-Identifier: Apache-2.0
"""The services' configuration files: one module per service, functions from the lab's description to options."""
