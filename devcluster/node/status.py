"""Builds what is reported of a Pod: pure functions over what its containers do."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field

from devcluster.node.api import Json

CREATING: Json = {"waiting": {"reason": "ContainerCreating"}}
TERMINAL_PHASES = ("Succeeded", "Failed")


def timestamp() -> str:
    """Now, as Kubernetes writes it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True)
class ContainerState:
    """What is known of one container now."""

    name: str
    image: str
    state: Json = field(default_factory=lambda: CREATING)
    last: Json | None = None
    restarts: int = 0
    ready: bool = False
    started: bool = False
    """Its startup probe, if any, has succeeded."""

    def report(self) -> Json:
        """As an entry of `containerStatuses`."""
        entry: Json = {
            "name": self.name,
            "image": self.image,
            "imageID": "",
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restarts,
            "state": self.state,
        }
        if self.last is not None:
            entry["lastState"] = self.last
        return entry


def terminated(exit_code: int, started_at: str, reason: str = "", message: str = "") -> Json:
    """A `terminated` state; a negative exit code is a signal and shows as 128 + its number."""
    code = exit_code if exit_code >= 0 else 128 - exit_code
    body: Json = {
        "exitCode": code,
        "reason": reason or ("Completed" if code == 0 else "Error"),
        "startedAt": started_at,
        "finishedAt": timestamp(),
    }
    if message:
        body["message"] = message
    return {"terminated": body}


def phase(containers: Sequence[ContainerState], *, finished: bool) -> str:
    """`finished`: no container will be started again."""
    ended = [one.state["terminated"]["exitCode"] for one in containers if "terminated" in one.state]
    if finished and len(ended) == len(containers):
        return "Failed" if any(ended) else "Succeeded"
    if all("waiting" in one.state and one.last is None for one in containers):
        return "Pending"
    return "Running"


class Conditions:
    """A Pod's conditions; a transition time moves only when the status does."""

    def __init__(self, existing: Sequence[Json] = ()) -> None:
        self._known = {one["type"]: dict(one) for one in existing}

    def update(self, containers: Sequence[ContainerState], phase_now: str) -> list[Json]:
        """All conditions after a change."""
        unready = [one.name for one in containers if not one.ready]
        self._set("PodScheduled", True)
        self._set("PodReadyToStartContainers", phase_now not in TERMINAL_PHASES)
        reason, message = "", ""
        if phase_now == "Succeeded":
            reason = "PodCompleted"
        elif phase_now == "Failed":
            reason = "PodFailed"
        elif unready:
            reason = "ContainersNotReady"
            message = f"containers with unready status: [{' '.join(unready)}]"
        self._set("Initialized", True, "PodCompleted" if phase_now == "Succeeded" else "")
        for kind in ("ContainersReady", "Ready"):
            self._set(kind, not unready, reason, message)
        return list(self._known.values())

    def _set(self, kind: str, status: bool, reason: str = "", message: str = "") -> None:
        text = "True" if status else "False"
        old = self._known.get(kind, {})
        moved = old.get("status") != text
        condition: Json = {
            "type": kind,
            "status": text,
            "lastTransitionTime": timestamp() if moved else old.get("lastTransitionTime"),
        }
        if reason:
            condition |= {"reason": reason, "message": message}
        self._known[kind] = condition


def pod_status(
    containers: Sequence[ContainerState],
    conditions: Conditions,
    *,
    finished: bool,
    pod_ip: str,
    host_ip: str,
    start_time: str,
) -> Json:
    """The whole `status` that the node writes."""
    phase_now = phase(containers, finished=finished)
    return {
        "phase": phase_now,
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "podIP": pod_ip,
        "podIPs": [{"ip": pod_ip}],
        "startTime": start_time,
        "conditions": conditions.update(containers, phase_now),
        "containerStatuses": [one.report() for one in containers],
    }
