# SPDX-License-Identifier: Apache-2.0
"""QEMU options in the XML of FT servers' domains, set by both the compute driver and the agent."""

import itertools

from lxml import etree

NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"
#: Makes QEMU never set its flag for disabled virtio devices: see nova_colo.agent.qemu.qmp.virtio.
NO_DISABLED_FLAG = ("-global", "virtio-device.use-disabled-flag=false")
#: For XML from other hosts, which must not be able to read files or to exhaust memory.
PARSER = etree.XMLParser(resolve_entities=False, no_network=True, remove_blank_text=True)


def without_disabled_flag(xml: str) -> str:
    """Return the XML of a domain with the option that makes QEMU never set its flag for disabled devices."""
    return etree.tostring(with_options(etree.fromstring(xml, PARSER), NO_DISABLED_FLAG), encoding="unicode")


def with_options(root: etree._Element, *options: tuple[str, str]) -> etree._Element:
    """Return a domain with QEMU options inserted before its own, each an option and its value.

    An option that it has already is not added again.
    """
    command_line = root.find(f"{{{NAMESPACE}}}commandline")
    if command_line is None:
        moved = etree.Element(root.tag, root.attrib, nsmap={"qemu": NAMESPACE})
        moved.extend(list(root))
        root = moved
        command_line = etree.SubElement(root, f"{{{NAMESPACE}}}commandline")
    present = [element.get("value") for element in command_line.iterfind(f"{{{NAMESPACE}}}arg")]
    wanted = [option for option in options if option not in itertools.pairwise(present)]
    for place, value in enumerate(itertools.chain.from_iterable(wanted)):
        command_line.insert(place, etree.Element(f"{{{NAMESPACE}}}arg", value=value))
    return root
