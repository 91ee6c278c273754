# SPDX-License-Identifier: Apache-2.0
"""The engine: notices what happens to pairs and does what must be done about it."""
