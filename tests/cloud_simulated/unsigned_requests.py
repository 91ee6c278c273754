# SPDX-License-Identifier: Apache-2.0
"""Send requests to agents that no engine has signed, and print the codes of the reasons why they are refused.

A process of its own, since oslo.messaging uses the global options of oslo.config.
"""

import json
import sys

from nova_colo import conf as colo_conf
from nova_colo import rpc
from nova_colo.agent.replication import UnverifiedError


def main(conf_file: str, requests: str) -> None:
    """Print a JSON list with a code for each request; null for one that was carried out.

    :param conf_file: of the lab's engine
    :param requests: JSON list of host, method and arguments
    """
    client = rpc.AgentClient(rpc.transport(colo_conf.load([], [conf_file])), 30)
    codes = []
    for host, method, arguments in json.loads(requests):
        try:
            client.call(host, method, **arguments)
            codes.append(None)
        except UnverifiedError as error:
            codes.append(error.reason.code)
    print(json.dumps(codes))


if __name__ == "__main__":
    main(*sys.argv[1:])
