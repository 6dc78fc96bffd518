"""The story: v2 replaces v1 without a lost job, v3 turns out bad and v2 comes back."""

from __future__ import annotations

from collections.abc import Callable

from demo import checks
from demo.checks import Check
from demo.screen import Screen
from demo.snapshot import Snapshot, keys_of
from demo.world import BYSTANDER, SHOP, SYSTEM, World

READY_SECONDS = 60.0
RETIRE_SECONDS = 90.0
V1_REPLICAS, V2_REPLICAS = 3, 2


def tell(world: World, screen: Screen) -> bool:
    """All of it. Returns whether every check holds."""
    install(world, screen)
    first_version(world, screen)
    bystander = world.fingerprint()
    second_version(world, screen)
    seen = after_the_first_story(world)
    seen += rollback(world, screen)
    seen += at_the_end(world, bystander)
    screen.verdict(seen)
    return all(check.holds for check in seen)


def install(world: World, screen: Screen) -> None:
    """As README.md says."""
    screen.chapter("Install the operator")
    world.run("kubectl apply -f crds -f manifests/install.yaml")
    secret = "kubectl -n {} create secret generic {} --from-literal=url={}"
    url = world.server.url
    world.run(secret.format(SYSTEM, "bullmq-operator-redis", url))
    world.run(f"kubectl -n {SYSTEM} rollout status deployment/bullmq-operator --timeout=60s")
    screen.seen("the operator is ready, with the rights of its ServiceAccount and no others")
    world.run(f"kubectl create namespace {SHOP}")
    world.run(secret.format(SHOP, "redis", url))


def first_version(world: World, screen: Screen) -> None:
    """Version 1 serves, and 300 jobs are added to it."""
    screen.chapter('Version 1 of the queue "orders"')
    screen.say("Three workers and a producer: 200 jobs to do at once, 99 that are due in 15 s, and")
    screen.say("one that takes 12 s.")
    world.add_bystander()
    _release(world, "1", V1_REPLICAS)
    world.watch(_phase("1", "Current"), "v1 is current", READY_SECONDS)
    world.watch(
        lambda _: world.ledger().of("1").added >= 300, "300 jobs are added to v1", READY_SECONDS
    )


def second_version(world: World, screen: Screen) -> None:
    """Version 2 is released; what happens to version 1 happens by itself."""
    screen.chapter("Release version 2")
    screen.say("The format of a job changes, so version 2 has a queue and workers of its own. The")
    screen.say("release is one `kubectl apply`; from here on nobody touches version 1.")
    _release(world, "2", V2_REPLICAS)
    world.watch(_phase("2", "Current"), "v2 is current", READY_SECONDS)
    world.watch(_phase("1", "Draining"), "v1 is draining, its workers are still up", READY_SECONDS)
    world.watch(
        lambda now: now["1"].pods == 0 and now["1"].workers == "0/0",
        "v1 was proven empty: its Deployment is at zero, its Pods are gone",
        RETIRE_SECONDS,
    )
    world.run(f"kubectl -n {SHOP} wait qv/orders-v1 --for=condition=Retired --timeout=60s")
    world.watch(_phase("1", "Retired"), "v1 is retired, its keys are gone", RETIRE_SECONDS)


def after_the_first_story(world: World) -> list[Check]:
    """What must hold once version 1 is retired."""
    now = world.look()
    return [
        checks.all_processed("1", world.ledger()),
        checks.scaled_down_after(world.last_job_done("1"), world.first_scale("1")),
        checks.equals("v1's Deployment is at zero", now["1"].workers, "0/0"),
        checks.equals("keys of v1 left in Redis", len(keys_of("1", world.client)), 0),
    ]


def rollback(world: World, screen: Screen) -> list[Check]:
    """Version 3 is bad: version 2 comes back as it was, though its workers were gone."""
    screen.chapter("Release version 3, and roll it back")
    _release(world, "3", 1)
    world.watch(_phase("3", "Current"), "v3 is current", READY_SECONDS)
    world.watch(
        lambda now: now["2"].pods == 0 and now["2"].workers == "0/0",
        "v2 has drained and its workers are gone; its keys stay for `retire.delay`",
        RETIRE_SECONDS,
    )
    kept = len(keys_of("2", world.client))
    before = world.ledger().of("2").added
    screen.say("Somebody finds out that version 3 is bad. One field rolls it back:")
    patch = '{"spec":{"state":"Retired"}}'
    world.run(f"kubectl -n {SHOP} patch qv orders-v3 --type merge -p '{patch}'")
    world.watch(
        lambda now: now["2"].phase == "Current" and now["2"].workers == f"{V2_REPLICAS}/2",
        "v2 is current again, with the replicas that it had",
        READY_SECONDS,
    )
    screen.say("The producer goes back too; version 3 finishes what it was given, and retires.")
    world.run(f"kubectl -n {SHOP} apply -f demo/manifests/v2.yaml")
    world.watch(_phase("3", "Retired"), "v3 is retired as well", RETIRE_SECONDS)
    world.watch(_added(world, "2", before + 100), "jobs come to v2 again", READY_SECONDS)
    world.watch(
        lambda _: world.ledger().of("2").complete,
        "v2 has done the jobs that came after the rollback",
        READY_SECONDS,
    )
    restored = world.look()["2"].workers
    return [
        checks.equals("v2's workers after the rollback", restored, f"{V2_REPLICAS}/{V2_REPLICAS}"),
        checks.Check("v2's queue was still there to go back to", kept > 0, f"{kept} keys"),
        checks.equals("keys of v3 left in Redis", len(keys_of("3", world.client)), 0),
    ]


def at_the_end(world: World, bystander: dict[str, str]) -> list[Check]:
    """What must hold over all versions, and for whoever else uses this Redis."""
    ledger = world.ledger()
    untouched = world.fingerprint() == bystander
    return [
        checks.all_processed("2", ledger),
        checks.all_processed("3", ledger),
        checks.Check(
            f"the queue {BYSTANDER}, which nobody asked to touch, is as it was",
            untouched and bool(bystander),
            f"{len(bystander)} keys, {'the same' if untouched else 'changed'}",
        ),
    ]


def _release(world: World, version: str, replicas: int) -> None:
    world.run(f"kubectl -n {SHOP} apply -f demo/manifests/v{version}.yaml")
    if replicas != 1:
        scale = f"kubectl -n {SHOP} scale deployment/orders-worker-v{version}"
        world.run(f"{scale} --replicas={replicas}")


def _phase(version: str, phase: str) -> Callable[[Snapshot], bool]:
    return lambda now: version in now and now[version].phase == phase


def _added(world: World, version: str, jobs: int) -> Callable[[Snapshot], bool]:
    return lambda _: world.ledger().of(version).added >= jobs
