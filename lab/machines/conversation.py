# SPDX-License-Identifier: Apache-2.0
"""Send commands to a guest's service. This program is run by its path, inside the client's namespace.

``conversation.py ask ADDRESS SECONDS COMMAND`` prints the answer to one command.

``conversation.py measure ADDRESS SECONDS COMMAND DURATION`` repeats a command over one connection without
pauses, and prints the milliseconds to each answer as a JSON list.

``conversation.py count ADDRESS SECONDS COMMAND INTERVAL`` repeats a command every INTERVAL seconds over one
connection, and writes a line of JSON for each answer: the times of command and answer, the counter, and the
number of the answer on this connection. A last line has the reason of its end: ``{"ended": null}`` after
SIGTERM, else the error.

SECONDS is the timeout of an answer.
"""

import json
import signal
import socket
import sys
import time
from types import FrameType

PORT = 7000


class Conversation:
    """One connection to a guest's service."""

    def __init__(self, address: str, seconds: float) -> None:
        self._socket = socket.create_connection((address, PORT), timeout=seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("r")

    def ask(self, command: str) -> str:
        """Send a command and return its answer. Raise OSError on a timeout, or if the connection is lost."""
        self._socket.sendall(f"{command}\n".encode())
        answer = self._answers.readline()
        if not answer.endswith("\n"):
            raise ConnectionError("the guest has closed the connection")
        return answer.rstrip("\n")


def count(conversation: Conversation, command: str, interval: float) -> None:
    """Repeat a command without end, and write a record for each answer."""
    while True:
        asked = time.time()
        answer = conversation.ask(command)
        answered = time.time()
        counter, number = map(int, answer.split())
        write_record({"asked": asked, "answered": answered, "counter": counter, "number": number})
        time.sleep(interval)


def measure(conversation: Conversation, command: str, duration: float) -> list[float]:
    """Repeat a command for some seconds. Return the milliseconds to each answer."""
    took, end = [], time.perf_counter() + duration
    while (asked := time.perf_counter()) < end:
        conversation.ask(command)
        took.append((time.perf_counter() - asked) * 1000)
    return took


def write_record(record: dict[str, object]) -> None:
    """Write one line of JSON."""
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


def end(number: int, frame: FrameType | None) -> None:
    """Exit, so that the last record is written."""
    raise SystemExit


def main(mode: str, address: str, seconds: str, command: str, interval: str = "0") -> None:
    """Run the mode of the command line."""
    if mode == "ask":
        print(Conversation(address, float(seconds)).ask(command))
        return
    if mode == "measure":
        print(json.dumps(measure(Conversation(address, float(seconds)), command, float(interval))))
        return
    signal.signal(signal.SIGTERM, end)
    ended = None
    try:
        count(Conversation(address, float(seconds)), command, float(interval))
    except (OSError, ValueError) as error:
        ended = f"{type(error).__name__}: {error}"
    finally:
        write_record({"ended": ended})


if __name__ == "__main__":
    main(*sys.argv[1:])
