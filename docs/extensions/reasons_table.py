# SPDX-License-Identifier: Apache-2.0
"""A Sphinx directive that shows a group of the catalogue of reasons as a table: code, text and remedy."""

import re
from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from nova_colo.pair.catalogue import CATALOGUE
from nova_colo.pair.reason import Group, Kind


class ReasonsTable(SphinxDirective):
    """``{reasons} state`` in MyST: the reasons of that group."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table's nodes."""
        return self.parse_text_to_nodes("\n".join(table(Group(self.arguments[0]))))


def table(group: Group) -> Iterator[str]:
    """Yield the lines of a group's table in Markdown."""
    kinds = [kind for kind in CATALOGUE.values() if kind.group == group]
    remedies = any(kind.remedy for kind in kinds)
    heads = ("code", "text", "what to do") if remedies else ("code", "text")
    for cells in (heads, ("---",) * len(heads), *(_row(kind)[: len(heads)] for kind in kinds)):
        yield f"| {' | '.join(cells)} |"


def _row(kind: Kind) -> tuple[str, str, str]:
    text = re.sub(r"%\((\w+)\)s", lambda name: name[1].upper(), kind.template)
    return f"`{kind.code}`", f"`{text}`", kind.remedy or "-"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("reasons", ReasonsTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
