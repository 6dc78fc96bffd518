"""`python -m devcluster.nodetier`: the node for a look by hand, until Ctrl-C."""

from __future__ import annotations

import shlex
import signal
import sys

from devcluster import tools
from devcluster.build import say
from devcluster.errors import DevclusterError
from devcluster.nodetier import images
from devcluster.nodetier.tier import NodeTier


def main() -> int:
    """Start it, say how to reach it, wait."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with NodeTier.create() as tier:
            kubectl = (
                *tier.kubectl.via,
                str(tools.kubectl()),
                "--kubeconfig",
                tier.kubectl.kubeconfig,
            )
            say(f"The node is Ready. Its images: {images.OPERATOR}, {images.WORKER}")
            say(f"Redis, for Pods: {tier.redis_url}; from here: {tier.redis_socket}")
            say(f"alias k={shlex.quote(shlex.join(map(str, kubectl)))}")
            say("Ctrl-C ends it.")
            signal.pause()
    except KeyboardInterrupt:
        return 0
    except DevclusterError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
