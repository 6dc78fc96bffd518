"""The tier itself: nothing of it is seen from the machine, and nothing stays."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import tools
from devcluster.nodetier import prerequisites
from devcluster.nodetier.machine import API_ADDRESS, NODE_ADDRESS
from devcluster.nodetier.tier import NodeTier, remove_cgroups_of_the_dead
from devcluster.processes import project_environment
from devcluster.waiting import wait_until

pytestmark = pytest.mark.node

OWNER = """
import signal
from devcluster.nodetier.tier import NodeTier
tier = NodeTier.create(archives=())
print(tier.state.parent, flush=True)
signal.pause()
"""


def test_its_addresses_do_not_exist_on_the_machine(tier: NodeTier) -> None:
    done = subprocess.run(["ip", "-json", "address"], check=True, capture_output=True, text=True)
    addresses = {info["local"] for link in json.loads(done.stdout) for info in link["addr_info"]}
    assert addresses.isdisjoint({API_ADDRESS, NODE_ADDRESS})


def test_a_killed_owner_takes_the_node_along(tier: NodeTier) -> None:
    """`tier` comes first: it skips where there can be none."""
    with subprocess.Popen(
        [str(tools.python()), "-c", OWNER],
        stdout=subprocess.PIPE,
        env=project_environment(),
        text=True,
    ) as owner:
        assert owner.stdout is not None
        state = Path(owner.stdout.readline().strip())
        assert list(processes_of(state))
        owner.send_signal(signal.SIGKILL)
    wait_until(lambda: not list(processes_of(state)), f"no process of {state}")
    wait_until(lambda: not state.exists(), f"no {state}")
    remove_cgroups_of_the_dead()
    assert not list(cgroups_of(state))
    assert tier.kubectl("get", "nodes", "-o", "name").strip() == "node/node1", "the other one lives"


def processes_of(state: Path) -> Iterator[int]:
    """Every process whose command line names the folder."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(state).encode() in entry.read_bytes():
                yield int(entry.parent.name)


def cgroups_of(state: Path) -> Iterator[Path]:
    """Every cgroup of this tier."""
    for hierarchy in prerequisites.cgroup_hierarchies():
        yield from hierarchy.glob(f"*{state.name}*")
