"""A fleet in which nothing happens costs nothing: no write to Kubernetes, none to Redis."""

from __future__ import annotations

import datetime

from tests.e2e.installation import restart
from tests.e2e.shop import LATER, Shop

OPERATOR_USER = "operator"
READ_ONLY = "-@write"


def settle_one_of_each(shop: Shop) -> None:
    """Seven versions of one family, each in another phase, seen through a Redis user of the
    operator's own."""
    rules = ("on", ">secret", "~*", "+@all")
    shop.client.execute_command("ACL SETUSER", OPERATOR_USER, *rules)
    through = {"redis": {"urlFrom": {"secretKeyRef": {"name": "redis", "key": "url"}}}}
    url = shop.redis.url_for(OPERATOR_USER, "secret")
    shop.kubectl("create", "secret", "generic", "redis", f"--from-literal=url={url}")

    shop.release("1", **through)
    shop.wait_done(shop.add("1", 3))
    shop.declare("2", shop.workers("2"), **through)
    shop.add("2", 1, data={"fail": 1})
    shop.declare("3", state="Stopped", **through)
    shop.declare("4", shop.workers("4"), **through)
    shop.add("4", 3, opts=LATER)
    shop.declare("5", suspend=True, **through)
    shop.declare("6", shop.workers("6"), **through)
    shop.add("6", 3, opts=LATER)
    shop.declare("7", "absent", **through)
    phases = ("Retired", "Held", "Stopped", "Draining", "Held", "Current", "Pending")
    for version, phase in enumerate(phases, start=1):
        shop.wait_phase(str(version), phase)


def test_a_settled_fleet_costs_no_write_also_when_the_operator_starts_anew(shop: Shop) -> None:
    """By the audit log of the API server, and with a Redis user that may no longer write."""
    settle_one_of_each(shop)
    shop.wait_polls()
    restart(shop.cluster)  # what was put off as mere numbers is written at the first look
    shop.wait_polls()

    shop.client.execute_command("ACL SETUSER", OPERATOR_USER, READ_ONLY)
    settled_at = datetime.datetime.now(datetime.UTC)
    restart(shop.cluster)
    shop.wait_polls(20)
    assert [f"{one.verb} {one.uri}" for one in shop.writes(since=settled_at)] == []
    assert shop.client.execute_command("ACL LOG") == []
