"""One loopback address per Pod, so that replicas can listen on the same port."""

from __future__ import annotations

import ipaddress


class Addresses:
    """Hands out 127.n.1.0 and up, in order; a freed one is not used again until all others were.

    127.n.0.0/24 stays for the cluster's own servers.
    """

    def __init__(self, network: int) -> None:
        self._first = int(ipaddress.ip_address(f"127.{network}.1.0"))
        self._count = 255 * 256 - 1
        self._next = 0
        self._used: set[str] = set()

    def take(self, wanted: str | None = None) -> str:
        """A free address; the wanted one if it is (a Pod that outlived a node's restart)."""
        if wanted and wanted not in self._used and self._is_ours(wanted):
            self._used.add(wanted)
            return wanted
        for _ in range(self._count):
            address = str(ipaddress.ip_address(self._first + self._next))
            self._next = (self._next + 1) % self._count
            if address not in self._used:
                self._used.add(address)
                return address
        raise RuntimeError("all Pod addresses of this node are taken")

    def free(self, address: str) -> None:
        """Give one back."""
        self._used.discard(address)

    def _is_ours(self, address: str) -> bool:
        return 0 <= int(ipaddress.ip_address(address)) - self._first < self._count
