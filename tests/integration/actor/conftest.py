"""Plans carried out against a real API server and a real Redis, with the operator's own rights.

In: plans written by hand, so that a test says exactly what is to be done. Out: what kubectl and
Redis show afterwards.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bullmq_operator.kube.client import KubeClient
from tests.integration.actor.support import Hands
from tests.integration.kube.conftest import a_deployment, a_version, client, kubeconfig

__all__ = ["a_deployment", "a_version", "client", "hands", "kubeconfig"]


@pytest.fixture
async def hands(client: KubeClient) -> AsyncIterator[Hands]:
    """The actor, and the world's memory that it writes to."""
    hands = Hands(client)
    yield hands
    await hands.backends.close()
