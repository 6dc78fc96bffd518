"""Where the API server is and who we are there; one JSON request at a time.

The vendor's client is used for its configuration, TLS and connection pool. Its typed models are
not: importing the typed APIs we would need takes 147 MiB (measured with 37.0.2) on top of 56, and
the codec parses plain JSON into our own types anyway.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from bullmq_operator.kube.errors import KubeError, error_for, mapped

Json = dict[str, Any]

TIMEOUT = 8.0
"""Seconds for one call, connecting included. The vendor's own default is five minutes."""

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

FIELD_MANAGER = "bullmq-operator"


class Session:
    """One identity at one API server."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    @classmethod
    async def connect(cls, environment: Mapping[str, str] = os.environ) -> Session:
        """Inside a pod by its ServiceAccount's files, else by KUBECONFIG.

        Raises KubeError when neither tells where the API server is.
        """
        configuration = Configuration()
        try:
            if environment.get("KUBERNETES_SERVICE_HOST"):
                load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            else:
                file = kubeconfig_of(environment)
                await load_kube_config(  # type: ignore[no-untyped-call]
                    config_file=str(file), client_configuration=configuration, persist_config=False
                )
                _reread_token(configuration, await asyncio.to_thread(token_file, file))
        except (ConfigException, OSError, yaml.YAMLError) as failure:
            raise KubeError(f"no way to reach the API server: {failure}") from failure
        return cls(ApiClient(configuration))

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()  # type: ignore[no-untyped-call]

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = JSON,
    ) -> Json:
        """The answer's JSON. Raises KubeError."""
        what = f"{method} {path}"
        with mapped(what):
            url, headers = await self._address(method, path, query)
            headers["Content-Type"] = content_type
            answer = await self._api.call_api(
                method, url, headers, body=body, _request_timeout=TIMEOUT
            )
            # Reading is under the same timeout: aiohttp counts it from the start of the request.
            data: bytes = await answer.read()  # type: ignore[no-untyped-call]
        if answer.status >= 400:
            raise error_for(answer.status, data.decode(errors="replace"), what)
        try:
            return cast("Json", json.loads(data))
        except ValueError as failure:
            raise KubeError(f"{what}: the answer is no JSON", answer.status) from failure

    async def _address(
        self, method: str, path: str, query: Mapping[str, str] | None
    ) -> tuple[str, dict[str, str]]:
        """The URL, and the headers with a token that is still good."""
        serialized = await self._api.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": JSON},
            auth_settings=["BearerToken"],
        )
        _, url, headers, _, _ = serialized
        return url, headers


def kubeconfig_of(environment: Mapping[str, str]) -> Path:
    """KUBECONFIG, or where kubectl looks without it."""
    return Path(environment.get("KUBECONFIG") or "~/.kube/config").expanduser()


def token_file(kubeconfig: Path) -> Path | None:
    """The `tokenFile` of the current context's user, relative to the kubeconfig."""
    config = yaml.safe_load(kubeconfig.read_text())
    context = _named(config.get("contexts"), config.get("current-context")).get("context") or {}
    user = _named(config.get("users"), context.get("user")).get("user") or {}
    return kubeconfig.parent / user["tokenFile"] if user.get("tokenFile") else None


def _named(entries: list[Json] | None, name: str | None) -> Json:
    return next((entry for entry in entries or () if entry.get("name") == name), {})


def _reread_token(configuration: Configuration, file: Path | None) -> None:
    """Take the token from its file at each request: the vendor's client reads it once only, and
    bound tokens live for an hour. A few hundred bytes from the page cache cost microseconds."""
    if file is None:
        return

    def refresh(current: Configuration) -> None:
        current.api_key["BearerToken"] = f"Bearer {file.read_text().strip()}"

    configuration.refresh_api_key_hook = refresh  # type: ignore[assignment]
