# SPDX-License-Identifier: Apache-2.0
"""The list and the dialogs of FT flavors."""
