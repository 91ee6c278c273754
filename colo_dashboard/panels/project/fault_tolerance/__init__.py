# SPDX-License-Identifier: Apache-2.0
"""Project > Compute > Fault Tolerance. The admin dashboard's panel extends it."""
