# SPDX-License-Identifier: Apache-2.0
"""Options of QEMU in a domain's XML: what the compute driver and the agent both give to the guests of FT servers."""

import itertools

from lxml import etree

NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"
#: With it QEMU has no flag for devices that are switched off: see nova_colo.agent.qemu.qmp.virtio.
NO_DISABLED_FLAG = ("-global", "virtio-device.use-disabled-flag=false")
#: XML comes from other hosts too: nothing in it may read files or grow without bounds.
PARSER = etree.XMLParser(resolve_entities=False, no_network=True, remove_blank_text=True)


def without_disabled_flag(xml: str) -> str:
    """Return the XML of a domain whose QEMU has no flag for devices that are switched off."""
    return etree.tostring(with_options(etree.fromstring(xml, PARSER), NO_DISABLED_FLAG), encoding="unicode")


def with_options(root: etree._Element, *options: tuple[str, str]) -> etree._Element:
    """Return a domain with more options of QEMU, each an option and its value, before those that it has; none is there twice."""
    command_line = root.find(f"{{{NAMESPACE}}}commandline")
    if command_line is None:
        moved = etree.Element(root.tag, root.attrib, nsmap={"qemu": NAMESPACE})
        moved.extend(list(root))
        root = moved
        command_line = etree.SubElement(root, f"{{{NAMESPACE}}}commandline")
    there = [element.get("value") for element in command_line.iterfind(f"{{{NAMESPACE}}}arg")]
    wanted = [option for option in options if option not in itertools.pairwise(there)]
    for place, value in enumerate(itertools.chain.from_iterable(wanted)):
        command_line.insert(place, etree.Element(f"{{{NAMESPACE}}}arg", value=value))
    return root
