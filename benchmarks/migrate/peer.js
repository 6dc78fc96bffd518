// Moves jobs as a user would who has BullMQ alone: getJobs, addBulk to the new queue, remove from the old one. It keeps name,
// data, options, priority and the rest of a delay; attempts, logs, parents and who owns a deduplication id are lost, and a crash
// between addBulk and remove leaves jobs in both queues. Environment: REDIS_URL, BULLMQ_PACKAGE. Reads one JSON object a line:
//   {"from": queue, "to": queue, "batch": n}   answers {"ms": how long it took, "moved": n}
'use strict';
const readline = require('node:readline');
const { Queue } = require(process.env.BULLMQ_PACKAGE);

const { hostname: host, port } = new URL(process.env.REDIS_URL);
const connection = { host, port: Number(port), maxRetriesPerRequest: 1 };
const queues = new Map();
const STATES = ['wait', 'prioritized', 'delayed'];

async function open(name) {
  if (!queues.has(name)) queues.set(name, new Queue(name, { connection }));
  await queues.get(name).waitUntilReady();
  return queues.get(name);
}

function copyOf({ id, name, data, opts, timestamp, delay }) {
  const left = delay ? Math.max(timestamp + delay - Date.now(), 0) : 0;
  return { name, data, opts: { ...opts, jobId: `v1-${id}`, delay: left } };
}

async function move({ from, to, batch }) {
  const [source, target] = [await open(from), await open(to)];
  const began = process.hrtime.bigint();
  let moved = 0;
  for (const state of STATES) {
    for (;;) {
      const jobs = await source.getJobs([state], 0, batch - 1, true);
      if (jobs.length === 0) break;
      await target.addBulk(jobs.map(copyOf));
      await Promise.all(jobs.map((job) => job.remove()));
      moved += jobs.length;
    }
  }
  return { ms: Number(process.hrtime.bigint() - began) / 1e6, moved };
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await move(JSON.parse(line)))}\n`);
  }
  process.exit(0);
}
main();
