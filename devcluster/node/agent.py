"""The node itself: registers, binds and runs Pods, and follows what the API says of them."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from devcluster.components import NODE, Layout
from devcluster.node.addresses import Addresses
from devcluster.node.api import Api, Json
from devcluster.node.environment import PodFacts
from devcluster.node.identity import Identity
from devcluster.node.images import Catalogue
from devcluster.node.launch import PodContext
from devcluster.node.log_server import LogServer
from devcluster.node.pod import Pod, is_finished
from devcluster.node.status import timestamp

CAPACITY = {"cpu": "1000", "memory": "1000Gi", "pods": "10000", "ephemeral-storage": "1000Gi"}
DEFAULT_GRACE_SECONDS = 30
LABELS = {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"}
log = logging.getLogger("devcluster.node")


class Agent:
    """Runs until it is cancelled; its Pods' processes die with it."""

    def __init__(self, api: Api, layout: Layout) -> None:
        self._api, self._layout = api, layout
        self._addresses = Addresses(layout.network)
        self._catalogue = Catalogue()
        self._pods: dict[str, Pod] = {}
        self._log_server = LogServer(self._find, layout.folder / "pki")

    async def run(self) -> None:
        """Any task that fails ends the node, with a traceback in its log."""
        await self._log_server.start(self._layout.host, self._layout.kubelet_port)
        await self._register()
        log.info("node %s is up at %s", NODE, self._layout.host)
        async with asyncio.TaskGroup() as group:
            async for kind, objects in self._api.follow("/api/v1/pods"):
                if kind == "SYNC":
                    self._forget_all_but({one["metadata"]["uid"] for one in objects})
                for pod in objects:
                    self._take(kind, pod, group)

    async def close(self) -> None:
        """Stop serving logs."""
        await self._log_server.stop()

    def _take(self, kind: str, pod: Json, group: asyncio.TaskGroup) -> None:
        """One observation of one Pod."""
        meta, uid = pod["metadata"], pod["metadata"]["uid"]
        running = self._pods.get(uid)
        if kind == "DELETED":
            if running:
                running.object_gone()
            return
        if not pod["spec"].get("nodeName"):
            if _is_schedulable(pod):
                group.create_task(self._bind(pod))
            return
        if pod["spec"]["nodeName"] != NODE:
            return
        if running is None and (not is_finished(pod) or "deletionTimestamp" in meta):
            running = self._pods[uid] = Pod(self._context(pod))
            group.create_task(self._run(running))
        if running and "deletionTimestamp" in meta:
            running.delete(meta.get("deletionGracePeriodSeconds", DEFAULT_GRACE_SECONDS))

    async def _run(self, pod: Pod) -> None:
        try:
            await pod.run()
        finally:
            self._pods.pop(pod.uid, None)
            self._addresses.free(pod.pod_ip)

    def _forget_all_but(self, present: set[str]) -> None:
        for uid, pod in self._pods.items():
            if uid not in present:
                pod.object_gone()

    async def _bind(self, pod: Json) -> None:
        meta = pod["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/binding"
        body = {
            "metadata": {"name": meta["name"], "uid": meta["uid"]},
            "target": {"kind": "Node", "name": NODE},
        }
        await self._api.call("POST", path, body, absent=(404, 409))

    async def _register(self) -> None:
        """Make the Node, or take over the one of a run before; free it of the taint that
        admission puts on new Nodes.
        """
        body = {"metadata": {"name": NODE, "labels": LABELS}}
        await self._api.call("POST", "/api/v1/nodes", body, absent=(409,))
        now = timestamp()
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "ProcessNodeReady",
            "message": "Pods run as local processes",
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        status = {
            "capacity": CAPACITY,
            "allocatable": CAPACITY,
            "addresses": [{"type": "InternalIP", "address": self._layout.host}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._layout.kubelet_port}},
            "nodeInfo": _node_info(),
            "conditions": [ready],
        }
        await self._api.merge_patch(f"/api/v1/nodes/{NODE}/status", {"status": status})
        await self._api.merge_patch(f"/api/v1/nodes/{NODE}", {"spec": {"taints": None}})

    def _context(self, pod: Json) -> PodContext:
        meta = pod["metadata"]
        address = self._addresses.take(pod["status"].get("podIP"))
        folder = self._layout.folder / "pods" / meta["uid"]
        name = f"{meta['namespace']}_{meta['name']}_{meta['uid'][:8]}"
        return PodContext(
            api=self._api,
            catalogue=self._catalogue,
            facts=PodFacts(pod, pod_ip=address, host_ip=self._layout.host),
            identity=Identity(self._api, pod, folder / "serviceaccount"),
            folder=folder,
            logs=self._layout.folder / "pod-logs" / name,
        )

    def _find(self, namespace: str, name: str) -> Pod | None:
        return next((one for one in self._pods.values() if one.is_named(namespace, name)), None)


def _is_schedulable(pod: Json) -> bool:
    """What the scheduler would bind here: nothing gated, for another scheduler or another node."""
    spec = pod["spec"]
    wanted = spec.get("nodeSelector") or {}
    return (
        "deletionTimestamp" not in pod["metadata"]
        and not spec.get("schedulingGates")
        and spec.get("schedulerName", "default-scheduler") == "default-scheduler"
        and all(LABELS.get(name) == value for name, value in wanted.items())
    )


def _node_info() -> dict[str, str]:
    info = dict.fromkeys(
        ("machineID", "systemUUID", "bootID", "kernelVersion", "kubeProxyVersion"), ""
    )
    return info | {
        "osImage": "local processes",
        "containerRuntimeVersion": "process://1",
        "kubeletVersion": "v0-devcluster-process-node",
        "operatingSystem": "linux",
        "architecture": "",
    }


async def serve(state: Path) -> None:
    """Run the node of the cluster whose state is in this folder."""
    layout = Layout.load(state)
    api = Api(layout.endpoint.server, layout.endpoint.ca, layout.node_token)
    agent = Agent(api, layout)
    try:
        await agent.run()
    finally:
        await agent.close()
        await api.close()
