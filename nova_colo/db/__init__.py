# SPDX-License-Identifier: Apache-2.0
"""The FT database: oslo.db sessions, models, queries and migrations."""

from nova_colo.db.session import Database

__all__ = ["Database"]
