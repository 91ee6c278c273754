# SPDX-License-Identifier: Apache-2.0
"""Talk to a guest's service. A program of its own: it is run by its path, inside of the client's namespace.

``conversation.py ask ADDRESS SECONDS COMMAND`` prints the answer to one command.

``conversation.py measure ADDRESS SECONDS COMMAND DURATION`` repeats a command over one connection, each time as soon as it is
answered, and prints for how many milliseconds each answer was waited for, as a list in JSON.

``conversation.py count ADDRESS SECONDS COMMAND INTERVAL`` repeats a command every INTERVAL seconds over one connection, and
writes a line of JSON for each answer: when it was asked and answered, the counter, and the number of the answer on this
connection. SECONDS is the patience for an answer. A last line says why it ended: ``{"ended": null}`` after SIGTERM,
else the error.
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
        """Send a command and return its answer. Raises OSError when the connection is lost or patience is."""
        self._socket.sendall(f"{command}\n".encode())
        answer = self._answers.readline()
        if not answer.endswith("\n"):
            raise ConnectionError("the guest has closed the connection")
        return answer.rstrip("\n")


def count(conversation: Conversation, command: str, interval: float) -> None:
    """Repeat a command for ever."""
    while True:
        asked = time.time()
        answer = conversation.ask(command)
        answered = time.time()
        counter, number = map(int, answer.split())
        say({"asked": asked, "answered": answered, "counter": counter, "number": number})
        time.sleep(interval)


def measure(conversation: Conversation, command: str, duration: float) -> list[float]:
    """Repeat a command for some seconds; gives milliseconds to each answer."""
    took, end = [], time.perf_counter() + duration
    while (asked := time.perf_counter()) < end:
        conversation.ask(command)
        took.append((time.perf_counter() - asked) * 1000)
    return took


def say(record: dict[str, object]) -> None:
    """Write one line of JSON."""
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


def end(number: int, frame: FrameType | None) -> None:
    """End in an orderly way."""
    raise SystemExit


def main(mode: str, address: str, seconds: str, command: str, interval: str = "0") -> None:
    """Do as the command line says."""
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
        say({"ended": ended})


if __name__ == "__main__":
    main(*sys.argv[1:])
