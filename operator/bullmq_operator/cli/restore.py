"""`bullmq-operator restore`: puts an archive back into a queue."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bullmq_operator.archive.destination import SUFFIX, Destination, parse
from bullmq_operator.archive.errors import ArchiveError, ArchiveReason
from bullmq_operator.archive.restoring import CollisionError, Restored, Target, restore
from bullmq_operator.queues.connection import ConnectionSettings, connect
from bullmq_operator.queues.errors import QueueReadError
from bullmq_operator.settings import PREFIX

_DONE, _FAILED, _USAGE = 0, 1, 2
_REDIS_URL: Final = f"{PREFIX}REDIS_URL"

HELP: Final = "put an archive back into a queue"
_DESCRIPTION: Final = (
    "Puts the jobs of an archive back into a queue: ids, states, order, delays and links as they "
    "were; active jobs wait again, first in line. The archive is read whole before anything is "
    "written, and no job that is there is changed, so a restore may be repeated. Stop the queue's "
    "workers meanwhile, or jobs may run before older ones are back."
)
_EPILOG: Final = (
    "Credentials of an object store come from the environment: AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY (AWS_ENDPOINT_URL, AWS_REGION), GOOGLE_APPLICATION_CREDENTIALS, "
    "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY. "
    "Exit codes: 0 done, 1 refused or failed, 2 wrong argument."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of the verb."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    parser.add_argument("file", metavar="FILE", help=f"path or URL of an archive (…{SUFFIX})")
    parser.add_argument("--queue", required=True, help="the queue to put the jobs into")
    parser.add_argument("--prefix", default="bull", help="BullMQ's prefix (default: bull)")
    parser.add_argument(
        "--redis",
        metavar="URL",
        help=f"redis://host:port/db; left out: {_REDIS_URL}, so that no password is seen by others",
    )
    parser.add_argument(
        "--id-prefix",
        default="",
        metavar="TEXT",
        help="put before every job id, when ids are taken by other jobs",
    )
    parser.add_argument(
        "--skip-existing",
        action="store_true",
        help="leave out jobs whose id another job has, instead of refusing all",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="check the archive and look for collisions only"
    )


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit code; one line says what was done, or why not."""
    problem = _problem(arguments)
    if problem is not None:
        sys.stderr.write(f"bullmq-operator restore: {problem}\n")
        return _USAGE
    try:
        source, name = _source(arguments.file)
        result = asyncio.run(_restore(arguments, source, name))
    except CollisionError as error:
        sys.stderr.write(f"bullmq-operator restore: {_collision(error, arguments.queue)}\n")
        return _FAILED
    except (ArchiveError, QueueReadError) as error:
        sys.stderr.write(f"bullmq-operator restore: {error}\n")
        is_usage = isinstance(error, ArchiveError) and error.reason is ArchiveReason.INVALID_URL
        return _USAGE if is_usage else _FAILED
    except KeyboardInterrupt:
        sys.stderr.write("bullmq-operator restore: stopped; repeat it to restore what is left\n")
        return _FAILED
    for line in _report(result, arguments):
        sys.stdout.write(f"{line}\n")
    return _DONE


async def _restore(arguments: argparse.Namespace, source: Destination, name: str) -> Restored:
    url = arguments.redis or os.environ[_REDIS_URL]
    connection = connect(ConnectionSettings(url=url))
    target = Target(
        base=f"{arguments.prefix}:{arguments.queue}:",
        id_prefix=arguments.id_prefix,
        skip_taken=arguments.skip_existing,
        dry_run=arguments.dry_run,
    )
    try:
        return await restore(connection, source, name, target)
    finally:
        await connection.close()


def _problem(arguments: argparse.Namespace) -> str | None:
    if not arguments.redis and not os.environ.get(_REDIS_URL):
        return f"--redis or {_REDIS_URL} must name the Redis of the queue."
    if ":" in arguments.queue or not arguments.queue:
        return "--queue must be a BullMQ queue's name, which has no colon."
    if ":" in arguments.id_prefix or arguments.id_prefix.isdecimal():
        return "--id-prefix must have no colon and be no number, since BullMQ counts its own ids."
    return None


def _source(file: str) -> tuple[Destination, str]:
    """The place and the name in it. Raises ArchiveError."""
    url = file if "://" in file else f"file://{Path(file).resolve()}"
    head, _, name = url.rpartition("/")
    if head.endswith(":/") or not name:  # s3://bucket alone
        raise ArchiveError(ArchiveReason.INVALID_URL, "FILE: names no file.")
    return parse(f"{head}/", named_by="FILE"), name


def _collision(error: CollisionError, queue: str) -> str:
    names = ", ".join(error.ids) + (" …" if error.count > len(error.ids) else "")
    return (
        f'{error.count} ids of the archive are other jobs\' in queue "{queue}" ({names}); nothing '
        "of them is restored. --id-prefix gives all jobs of the archive new ids, --skip-existing "
        "leaves these out."
    )


def _report(result: Restored, arguments: argparse.Namespace) -> Iterator[str]:
    verb = "would restore" if arguments.dry_run else "restored"
    states = ", ".join(f"{count} {name}" for name, count in sorted(result.written.items()))
    of = result.header.get("queue", {}).get("name")
    yield (
        f'{verb} {sum(result.written.values())} of queue "{of}" into "{arguments.queue}"'
        + (f": {states}" if states else "")
    )
    if result.there:
        yield f"{result.there} were there already"
    if result.skipped:
        yield f"{result.skipped} left out: their ids are other jobs'"
    if result.gone:
        yield f"{result.gone} ids without a job were in the archive"
    if result.links:
        yield (
            f"{result.links} have a parent or child in another queue, which still knows them by "
            "their old name"
        )
