# SPDX-License-Identifier: Apache-2.0
"""Project > Compute > Fault Tolerance. The admin dashboard's panel of that name is made of it."""
