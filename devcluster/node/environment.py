"""A container's environment and command line, by the rules of Kubernetes."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devcluster import tools
from devcluster.node.api import Api, Json
from devcluster.node.images import Image

REFERENCE = re.compile(r"\$(\$|\([A-Za-z_.-][A-Za-z0-9_.-]*\))")
KEYED_FIELD = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


class ConfigError(Exception):
    """The container cannot be started as it is written; the kubelet's reason for this is
    CreateContainerConfigError, and it tries again.
    """


class UnsupportedError(Exception):
    """The container needs what a process here can't have, so it is not started."""


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What `fieldRef` can ask for beyond the Pod's own manifest."""

    pod: Json
    pod_ip: str
    host_ip: str

    @property
    def namespace(self) -> str:
        """The Pod's namespace."""
        namespace: str = self.pod["metadata"]["namespace"]
        return namespace

    def field(self, path: str) -> str:
        """The value of a downward-API field. Raises ConfigError for one that there is not."""
        meta, spec = self.pod["metadata"], self.pod["spec"]
        if keyed := KEYED_FIELD.fullmatch(path):
            return str(meta.get(keyed[1], {}).get(keyed[2], ""))
        fields: dict[str, Any] = {
            "metadata.name": meta["name"],
            "metadata.namespace": meta["namespace"],
            "metadata.uid": meta["uid"],
            "spec.nodeName": spec.get("nodeName", ""),
            "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
            "status.podIP": self.pod_ip,
            "status.podIPs": self.pod_ip,
            "status.hostIP": self.host_ip,
            "status.hostIPs": self.host_ip,
        }
        if path not in fields:
            raise ConfigError(f"the process node has no value for fieldRef {path}")
        return str(fields[path])


def expand(text: str, known: Mapping[str, str]) -> str:
    """Replace `$(NAME)`; `$$` stands for `$`; an unknown name stays as it is written."""

    def replace(found: re.Match[str]) -> str:
        if found[1] == "$":
            return "$"
        return known.get(found[1][1:-1], found[0])

    return REFERENCE.sub(replace, text)


def command_line(container: Json, image: Image, known: Mapping[str, str]) -> list[str]:
    """`command` replaces the image's command and its args; `args` alone only the args."""
    command: Sequence[str] = container.get("command") or ()
    args: Sequence[str] = container.get("args") or ()
    if command:
        return [expand(word, known) for word in (*command, *args)]
    return [*image.command, *([expand(word, known) for word in args] or image.args)]


async def pod_environment(api: Api, container: Json, facts: PodFacts) -> dict[str, str]:
    """What the Pod itself sets: `envFrom`, then `env` in order.

    Raises ConfigError for a missing Secret, ConfigMap or key, in the kubelet's words.
    """
    known: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        known |= await _whole(api, source, facts.namespace)
    for entry in container.get("env") or ():
        value = await _value(api, entry, facts, known)
        if value is not None:
            known[entry["name"]] = value
    return known


def base_environment(facts: PodFacts, home: str) -> dict[str, str]:
    """What every process has; nothing else of our own environment reaches a Pod."""
    kept = {name: os.environ[name] for name in ("LANG", "TZ") if name in os.environ}
    path = os.pathsep.join([str(tools.scripts()), os.environ.get("PATH", os.defpath)])
    return {
        **kept,
        "PATH": path,
        "HOME": home,
        "TMPDIR": home,
        "HOSTNAME": facts.pod["metadata"]["name"],
    }


async def _value(api: Api, entry: Json, facts: PodFacts, known: Mapping[str, str]) -> str | None:
    source = entry.get("valueFrom")
    if not source:
        return expand(entry.get("value", ""), known)
    if ref := source.get("fieldRef"):
        return facts.field(ref["fieldPath"])
    for field, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
        if ref := source.get(field):
            return await _key(api, kind, ref, facts.namespace)
    raise ConfigError(f"env {entry['name']}: the process node knows no {next(iter(source))}")


async def _key(api: Api, kind: str, ref: Json, namespace: str) -> str | None:
    data = await _data(api, kind, ref["name"], namespace)
    optional = ref.get("optional", False)
    if data is None:
        if optional:
            return None
        raise ConfigError(f'{kind.lower()} "{ref["name"]}" not found')
    if ref["key"] not in data:
        if optional:
            return None
        raise ConfigError(f"couldn't find key {ref['key']} in {kind} {namespace}/{ref['name']}")
    return data[ref["key"]]


async def _whole(api: Api, source: Json, namespace: str) -> dict[str, str]:
    kind, ref = (
        ("Secret", source["secretRef"])
        if "secretRef" in source
        else ("ConfigMap", source["configMapRef"])
    )
    data = await _data(api, kind, ref["name"], namespace)
    if data is None:
        if ref.get("optional", False):
            return {}
        raise ConfigError(f'{kind.lower()} "{ref["name"]}" not found')
    return {source.get("prefix", "") + key: value for key, value in data.items()}


async def _data(api: Api, kind: str, name: str, namespace: str) -> dict[str, str] | None:
    plural = f"{kind.lower()}s"
    found = await api.get(f"/api/v1/namespaces/{namespace}/{plural}/{name}")
    if found is None:
        return None
    data: dict[str, str] = found.get("data") or {}
    if kind == "Secret":
        return {key: base64.b64decode(value).decode() for key, value in data.items()}
    return data
