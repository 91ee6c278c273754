# SPDX-License-Identifier: Apache-2.0
"""INI files as oslo.config reads them."""

import configparser
import io
from collections.abc import Mapping

Sections = Mapping[str, Mapping[str, object]]


def render(sections: Sections) -> str:
    """Return the text of an INI file. Option names keep their case; booleans are written as oslo.config likes them."""
    parser = configparser.RawConfigParser(default_section="", strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    for name, options in sections.items():
        parser.add_section(name)
        for option, value in options.items():
            parser.set(name, option, str(value).lower() if isinstance(value, bool) else str(value))
    out = io.StringIO()
    parser.write(out)
    return out.getvalue()
