# SPDX-License-Identifier: Apache-2.0
"""The FT database: oslo.db sessions, models, queries and migrations."""

from nova_colo.db.session import Database, retry_on_deadlock, retry_on_loss

__all__ = ["Database", "retry_on_deadlock", "retry_on_loss"]
