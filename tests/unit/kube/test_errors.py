"""The vendor's three families of failures become ours."""

from __future__ import annotations

import json

import aiohttp
import pytest
from kubernetes.aio.client.exceptions import ApiException

from bullmq_operator.kube.errors import (
    ConflictError,
    ForbiddenError,
    KubeError,
    NotFoundError,
    error_for,
    mapped,
)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, ForbiddenError), (404, NotFoundError), (409, ConflictError), (500, KubeError)],
)
def test_a_status_has_its_error(status: int, kind: type[KubeError]) -> None:
    error = error_for(status, json.dumps({"message": "no such thing"}), "GET /x")
    assert (type(error), error.status, str(error)) == (kind, status, "GET /x: no such thing")


@pytest.mark.parametrize(
    ("failure", "message", "status"),
    [
        pytest.param(ApiException(status=503, body="busy"), "busy", 503, id="an answer"),
        pytest.param(TimeoutError(), "did not answer in time", None, id="no answer in time"),
        pytest.param(aiohttp.ServerDisconnectedError(), "disconnected", None, id="no connection"),
    ],
)
def test_the_vendors_failures_are_translated(
    failure: Exception, message: str, status: int | None
) -> None:
    with pytest.raises(KubeError, match=f"GET /x.*{message}") as caught, mapped("GET /x"):
        raise failure
    assert caught.value.status == status
    assert caught.value.__cause__ is failure


def test_our_own_mistakes_are_not_taken_for_the_servers() -> None:
    with pytest.raises(ZeroDivisionError), mapped("GET /x"):
        raise ZeroDivisionError
