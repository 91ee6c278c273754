# SPDX-License-Identifier: Apache-2.0
"""INI files as oslo.config reads them."""

from collections.abc import Mapping

Sections = Mapping[str, Mapping[str, object]]


def render(sections: Sections) -> str:
    """Return the text of an INI file.

    Option names keep their case, booleans are lower case, and a list has one line for each of its values.
    """
    return "".join(f"[{name}]\n{''.join(_lines(options))}\n" for name, options in sections.items())


def _lines(options: Mapping[str, object]) -> list[str]:
    lines = []
    for option, value in options.items():
        for one in value if isinstance(value, list) else [value]:
            text = str(one).lower() if isinstance(one, bool) else str(one)
            # a line that begins with a blank continues the value of the one before
            lines.append(f"{option} = {text}".replace("\n", "\n\t") + "\n")
    return lines
