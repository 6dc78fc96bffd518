"""`python -m devcluster up | down | list | build`: a cluster to try things by hand."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from pathlib import Path

from devcluster import npm, tools
from devcluster.build import built_binary, say
from devcluster.cluster import Cluster
from devcluster.errors import DevclusterError
from devcluster.redis_server import RedisServer
from devcluster.running import Running, remove_remains, running


def main() -> int:
    """Exit codes: 0 done, 1 failed (the message says why), 2 usage."""
    parser = argparse.ArgumentParser(prog="python -m devcluster", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="start a cluster and print how to reach it")
    up.add_argument("--keep", action="store_true", help="return at once, and leave it running")
    up.add_argument("--redis", action="store_true", help="start a Redis server beside it")
    down = verbs.add_parser("down", help="stop what was kept")
    down.add_argument("names", nargs="*", help="only these (see `list`); kept or not")
    verbs.add_parser("list", help="show what runs")
    verbs.add_parser("build", help="build and install all that a cluster needs, once")
    arguments = parser.parse_args()
    try:
        match arguments.verb:
            case "up":
                return _up(keep=arguments.keep, with_redis=arguments.redis)
            case "down":
                return _down(arguments.names)
            case "list":
                return _list()
            case _:
                return _build()
    except DevclusterError as error:
        say(str(error))
        return 1


def _up(*, keep: bool, with_redis: bool) -> int:
    cluster = Cluster.create()
    redis = RedisServer().start() if with_redis else None
    _export("PATH", f"{tools.kubectl().parent}:$PATH")
    _export("KUBECONFIG", str(cluster.kubeconfig))
    if redis:
        _export("REDIS_URL", redis.url)
    if keep:
        cluster.keep()
        if redis:
            redis.keep()
        say("It keeps running; `python -m devcluster down` stops it.")
        return 0
    say("Running until Ctrl-C (or SIGTERM).")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
    finally:
        cluster.stop()
        if redis:
            redis.stop()
    return 0


def _down(names: list[str]) -> int:
    found = [one for one in running() if (one.name in names if names else one.kept)]
    for one in found:
        one.stop()
        say(f"stopped {one.name}")
    for gone in remove_remains():
        say(f"removed the remains of {gone.name}")
    unknown = set(names) - {one.name for one in found}
    if unknown:
        say(f"not running: {', '.join(sorted(unknown))}; `list` shows what is")
    return 1 if unknown else 0


def _list() -> int:
    for one in running():
        print(_line(one))
    return 0


def _line(one: Running) -> str:
    config: Path = one.state / "kubeconfig"
    where = f"KUBECONFIG={config}" if config.exists() else str(one.state)
    return f"{one.name}  {'kept' if one.kept else 'held by a process'}  {where}"


def _build() -> int:
    say(f"control plane: {built_binary()}")
    say(f"BullMQ packages: {npm.node_modules()}")
    return 0


def _export(name: str, value: str) -> None:
    print(f"export {name}={value}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
