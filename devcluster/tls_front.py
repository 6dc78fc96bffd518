"""TLS before a server that speaks none, as stunnel or a managed Redis's own front does it.

The embedded Valkey is built without TLS. `python -m devcluster.tls_front` is the process.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import ssl
from pathlib import Path

from devcluster import tools
from devcluster.network import free_port
from devcluster.paths import new_state_dir
from devcluster.pki import KeyPair
from devcluster.processes import Hold
from devcluster.waiting import wait_until

HOST = "127.0.0.1"
NAME = "tls-front"
READY_SECONDS = 15.0
PIECE = 65536


class TlsFront:
    """One port with TLS that leads to a port without. Use as a context manager."""

    def __init__(self, port: int, pair: KeyPair, *, client_ca: Path | None = None) -> None:
        """`port`: of the server behind; `client_ca`: only clients that it signed may enter."""
        self._behind, self._pair, self._client_ca = port, pair, client_ca
        self._hold: Hold | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """With TLS, without credentials."""
        return f"rediss://{HOST}:{self.port}"

    def start(self) -> TlsFront:
        """Start it, and wait until it listens."""
        self.port = free_port(HOST)
        self._hold = hold = Hold.new(new_state_dir("tls"), remove_state=True)
        argv = [str(tools.python()), "-m", "devcluster.tls_front", str(self.port)]
        argv += [str(self._behind), str(self._pair.certificate), str(self._pair.key)]
        if self._client_ca is not None:
            argv += ["--client-ca", str(self._client_ca)]
        hold.spawn(NAME, argv)

        def listens() -> bool:
            hold.check_running(NAME)
            with socket.socket() as probe:
                return probe.connect_ex((HOST, self.port)) == 0

        try:
            wait_until(listens, f"the TLS front on port {self.port}", READY_SECONDS)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End it, and all connections through it."""
        if self._hold is not None:
            self._hold.shutdown()
            self._hold = None

    def __enter__(self) -> TlsFront:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


async def _serve(port: int, behind: int, context: ssl.SSLContext) -> None:
    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, questions = await asyncio.open_connection(HOST, behind)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pass_on(reader, questions), _pass_on(answers, writer))

    server = await asyncio.start_server(meet, HOST, port, ssl=context)
    await server.serve_forever()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until either side ends; TLS has no half-closed connections."""
    try:
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("behind", type=int)
    parser.add_argument("certificate", type=Path)
    parser.add_argument("key", type=Path)
    parser.add_argument("--client-ca", type=Path)
    given = parser.parse_args()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(given.certificate, given.key)
    if given.client_ca is not None:
        context.load_verify_locations(given.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    asyncio.run(_serve(given.port, given.behind, context))


if __name__ == "__main__":
    _main()
