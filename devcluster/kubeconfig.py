"""Kubeconfig files, and the little of the API that must work before there is a cluster."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an API server is and how to trust it."""

    server: str
    ca: Path

    def kubeconfig(self, user: dict[str, Any], namespace: str = "default") -> dict[str, Any]:
        """A kubeconfig with one context; `user` holds a token, a tokenFile or a certificate."""
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "devcluster",
                    "cluster": {"server": self.server, "certificate-authority": str(self.ca)},
                }
            ],
            "users": [{"name": "user", "user": user}],
            "contexts": [
                {
                    "name": "devcluster",
                    "context": {"cluster": "devcluster", "user": "user", "namespace": namespace},
                }
            ],
            "current-context": "devcluster",
        }


def write_private(path: Path, text: str) -> Path:
    """Write a file that only its owner can read, in one step."""
    draft = path.with_name(f".{path.name}.new")
    draft.touch(mode=0o600)
    draft.write_text(text)
    return draft.rename(path)


def write_kubeconfig(path: Path, content: dict[str, Any]) -> Path:
    """Write a kubeconfig that only its owner can read (it holds a credential)."""
    return write_private(path, yaml.safe_dump(content, sort_keys=False))


@dataclass(frozen=True, slots=True)
class AdminApi:
    """A few calls as the administrator, without a client library."""

    endpoint: Endpoint
    token: str

    def get(self, path: str, timeout: float = 2.0) -> str | None:
        """The answer's text, or None while there is no good answer."""
        try:
            return self._call("GET", path, None, timeout)
        except (OSError, urllib.error.URLError):
            return None

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST JSON; urllib.error.HTTPError when it is refused."""
        answer: dict[str, Any] = json.loads(self._call("POST", path, body, 10.0))
        return answer

    def _call(self, method: str, path: str, body: dict[str, Any] | None, timeout: float) -> str:
        request = urllib.request.Request(
            self.endpoint.server + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        context = ssl.create_default_context(cafile=str(self.endpoint.ca))
        direct = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with direct.open(request, timeout=timeout) as response:
            text: str = response.read().decode()
        return text
