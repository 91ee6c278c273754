# SPDX-License-Identifier: Apache-2.0
"""One pair without OpenStack: the program colo-pair."""
