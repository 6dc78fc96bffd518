"""A queue with many finished jobs: a few are made by BullMQ, and copied as often as it takes."""

from __future__ import annotations

import redis

from devcluster import bullmq

COPY = """
local base, source = ARGV[1], redis.call('HGETALL', ARGV[1] .. '1')
for id = tonumber(ARGV[2]), tonumber(ARGV[3]) do
  redis.call('HSET', base .. id, unpack(source))
  redis.call('ZADD', base .. 'completed', id, id)
  redis.call('XADD', base .. 'events', 'MAXLEN', '~', 10000, '*', 'event', 'completed', 'jobId', id)
  if ARGV[4] == '1' then redis.call('RPUSH', base .. id .. ':logs', 'did what was to be done') end
end
redis.call('SET', base .. 'id', ARGV[3])
"""
BATCH = 1000


def fill(client: redis.Redis, url: str, queue: str, count: int, *, logs: bool) -> None:
    """So many completed jobs, with a line of log each if asked for."""
    bullmq.run(url, queue, ["addBulk", bullmq.jobs(1, data={"order": 4711})], ["process", 1])
    base = f"bull:{queue}:"
    if logs:
        client.rpush(f"{base}1:logs", "did what was to be done")
    for first in range(2, count + 1, BATCH):
        last = min(first + BATCH - 1, count)
        client.eval(COPY, 0, base, first, last, int(logs))
    assert client.zcard(f"{base}completed") == count
