# SPDX-License-Identifier: Apache-2.0
"""The whole catalogue of reasons: an import of every module that adds to it."""

from nova_colo.pair import action_rules, eligibility, reasons
from nova_colo.pair.reason import CATALOGUE

__all__ = ["CATALOGUE", "action_rules", "eligibility", "reasons"]
