"""`python -m demo`. Exit codes: 0 all checks hold, 1 one does not or the story stopped."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack

from demo.screen import Screen
from demo.story import tell
from demo.world import World
from devcluster.errors import DevclusterError

INTERRUPTED = 130


def main() -> int:
    """Bring a world up, tell the story in it, and take it down; `KEEP=1` leaves it up."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(INTERRUPTED))
    keep = os.environ.get("KEEP", "") not in ("", "0")
    screen = Screen()
    with ExitStack() as stack:
        world = None
        try:
            world = World.create(screen)
            stack.callback(world.leave if keep else world.stop)
            held = tell(world, screen)
        except DevclusterError as error:
            screen.failed(str(error), world.clues() if world else "")
            return 1
        except KeyboardInterrupt:
            return INTERRUPTED
        finally:
            screen.close()
            if keep and world:
                screen.kept(world.exports())
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
