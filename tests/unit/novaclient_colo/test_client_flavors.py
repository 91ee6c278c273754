# SPDX-License-Identifier: Apache-2.0
"""FT flavors as the client shows them."""

import pytest

from novaclient_colo.flavors import FtFlavor


@pytest.mark.parametrize(
    ("text", "value"), [("500", 500), ("100ms", None), ("-5", None), ("", None), (None, None)]
)
def test_an_invalid_interval_is_named_and_ignored(text, value, caplog):
    specs = {"ft:enabled": "1"} | ({} if text is None else {"ft:checkpoint_interval_ms": text})
    flavor = FtFlavor(None, {"id": "1", "name": "web", "extra_specs": specs})
    assert flavor.checkpoint_interval_ms == value
    warned = [record.getMessage() for record in caplog.records]
    expected = [f"Flavor web: ft:checkpoint_interval_ms={text} is not a number and is ignored."]
    assert warned == (expected if text is not None and value is None else [])
