"""Addresses that nobody else has: clusters side by side never meet on a port.

Linux answers on all of 127.0.0.0/8, so each cluster takes one 127.n.0.0/16 for its servers and its
Pods. The claim is a bound UDP socket: the kernel refuses it to the second one, whoever that is, and
drops it when its holder dies.
"""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Sequence

from devcluster.errors import StartError

CLAIM_PORT = 19019
"""UDP; nothing is ever sent to it."""

PORTS = range(20000, 32000)
"""Below Linux's usual ephemeral ports (32768 up): no outgoing connection can sit on one of these
while its server is down, and no client can connect to itself.
"""


def server_address(network: int) -> str:
    """The address of the servers of a network."""
    return f"127.{network}.0.1"


def claim_network() -> tuple[int, socket.socket]:
    """Take a network that no other process holds: its number, and the socket that holds it.

    Raises StartError when all 254 are taken.
    """
    numbers = list(range(1, 255))
    random.shuffle(numbers)
    for number in numbers:
        if claim := _claim(number):
            return number, claim
    raise StartError("all loopback networks 127.1-254.0.0/16 are taken: stop another cluster")


def _claim(number: int) -> socket.socket | None:
    claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        claim.bind((server_address(number), CLAIM_PORT))
    except OSError as error:
        claim.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    return claim


def free_port(host: str = "127.0.0.1", among: Sequence[int] = PORTS) -> int:
    """A TCP port that nobody uses now; a start that finds it taken after all tries another."""
    for port in random.sample(among, min(200, len(among))):
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            return port
    raise StartError(f"no free TCP port found on {host} in {PORTS}")
