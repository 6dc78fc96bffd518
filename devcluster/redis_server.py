"""A real Redis-compatible server (embedded Valkey) on a free port: AOF on, noeviction."""

from __future__ import annotations

import shutil
import signal
import socket
from urllib.parse import quote

import redis

from devcluster import tools
from devcluster.errors import StartError
from devcluster.network import free_port
from devcluster.paths import new_state_dir
from devcluster.processes import Hold
from devcluster.waiting import wait_until

SERVER = "valkey-server"
HOST = "127.0.0.1"
START_TRIES = 3
START_SECONDS = 15.0


class RedisServer:
    """One server. Use as a context manager, or start() and stop(); several run side by side."""

    def __init__(
        self, *, password: str = "", users: tuple[str, ...] = (), settings: tuple[str, ...] = ()
    ) -> None:
        """`password` is the default user's; `users` are ACL rules such as
        `"reader on >secret ~* +@read"`; `settings` are further server arguments.
        """
        self._password, self._users, self._settings = password, users, settings
        self._hold: Hold | None = None
        self.port = 0

    @property
    def host(self) -> str:
        """The address it listens on."""
        return HOST

    @property
    def url(self) -> str:
        """With the default user's password, if there is one."""
        login = f":{quote(self._password, safe='')}@" if self._password else ""
        return f"redis://{login}{HOST}:{self.port}"

    def url_for(self, user: str, password: str, db: int = 0) -> str:
        """For another user or another database."""
        return f"redis://{quote(user)}:{quote(password, safe='')}@{HOST}:{self.port}/{db}"

    def client(self) -> redis.Redis:
        """A synchronous client as the default user, strings decoded; the caller closes it."""
        return redis.Redis.from_url(self.url, decode_responses=True)

    def start(self) -> RedisServer:
        """Start with empty data, and wait until it answers."""
        for attempt in range(START_TRIES):
            self.port = free_port(HOST)
            self._hold = Hold.new(new_state_dir("redis"), remove_state=True)
            try:
                self._run()
            except StartError as error:
                self.stop()
                if "in use" not in str(error) or attempt == START_TRIES - 1:
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                break
        return self

    def stop(self) -> None:
        """End it and forget its data."""
        if self._hold is not None:
            self._hold.shutdown()
            self._hold = None

    def kill(self) -> None:
        """SIGKILL: what was not written to the AOF is lost. `restart` brings it back."""
        self._held.signal(SERVER, signal.SIGKILL)
        self._held.end(SERVER)

    def shut_down(self) -> None:
        """SIGTERM: an orderly end. `restart` brings it back."""
        self._held.signal(SERVER, signal.SIGTERM)
        self._held.end(SERVER)

    def restart(self, *, keep_data: bool = True) -> None:
        """On the same port, from its AOF or empty; ends it first if it still runs."""
        if SERVER in self._held.status():
            self.kill()
        if not keep_data:
            for name in ("appendonlydir", "dump.rdb"):
                path = self._held.state / name
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
        self._run()

    def pause(self) -> None:
        """SIGSTOP: connections are accepted (by the kernel) and never answered."""
        self._held.signal(SERVER, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._held.signal(SERVER, signal.SIGCONT)

    def is_running(self) -> bool:
        """Also while it is paused."""
        status = self._held.status().get(SERVER)
        return status is not None and status.returncode is None

    def keep(self) -> None:
        """Let it live on when this process ends (`python -m devcluster down` ends it)."""
        self._held.keep()

    @property
    def _held(self) -> Hold:
        if self._hold is None:
            raise StartError("the Redis server was not started")
        return self._hold

    def _run(self) -> None:
        login = ("--requirepass", self._password) if self._password else ()
        users = [word for rule in self._users for word in ("--user", *rule.split())]
        base = f"--bind {HOST} --port {self.port} --appendonly yes --appendfsync everysec"
        policy = "--maxmemory-policy noeviction --enable-debug-command local"
        argv = [str(tools.valkey_server()), *base.split(), *policy.split(), "--save", ""]
        self._held.spawn(SERVER, [*argv, *login, *users, *self._settings])
        wait_until(self._answers, f"Redis on port {self.port}", START_SECONDS)

    def _answers(self) -> bool:
        """PING by hand: +PONG, or -NOAUTH from one with a password; -LOADING is not ready."""
        self._held.check_running(SERVER)
        try:
            with socket.create_connection((HOST, self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def __enter__(self) -> RedisServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
