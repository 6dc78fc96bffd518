"""Inputs: real Valkeys, real BullMQ jobs, the cache filled by hand. Kubernetes takes no part here,
except in test_secrets.py, which asks a real API server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.integration.kube.conftest import a_deployment, a_version, client, kubeconfig
from tests.integration.observer.support import Eyes

__all__ = ["a_deployment", "a_version", "client", "eyes", "kubeconfig"]


@pytest.fixture
async def eyes() -> AsyncIterator[Eyes]:
    """The observer's readers; no version is known yet."""
    eyes = Eyes()
    yield eyes
    await eyes.backends.close()
