// BullMQ as a user of it runs it: obliterates queues, and adds jobs while somebody else deletes. Environment: REDIS_URL,
// BULLMQ_PACKAGE. Reads one JSON object a line, answers each by a line:
//   {"do": "open", "queue": q}          the handle, connected; {}
//   {"do": "obliterate", "queue": q}    {"ms": how long queue.obliterate() took, "error": message or null}
//   {"do": "rush", "queue": q, "width": n}   adds, n at a time, each as soon as the one before it was acknowledged; {} at once
//   {"do": "stop"}                      {"added": [token of each acknowledged job], "errors": [messages]}
'use strict';
const readline = require('node:readline');
const { Queue } = require(process.env.BULLMQ_PACKAGE);

const { hostname: host, port } = new URL(process.env.REDIS_URL);
const connection = { host, port: Number(port), maxRetriesPerRequest: 1 };
const queues = new Map();
let rush = { added: [], errors: [], going: false, adders: [] };

async function open(name) {
  if (!queues.has(name)) queues.set(name, new Queue(name, { connection }).on('error', () => {}));
  await queues.get(name).waitUntilReady();
  return queues.get(name);
}

async function obliterate(name) {
  const queue = await open(name);
  const began = process.hrtime.bigint();
  let error = null;
  try {
    await queue.obliterate();
  } catch (refused) {
    error = refused.message;
  }
  return { ms: Number(process.hrtime.bigint() - began) / 1e6, error };
}

async function adder(queue) {
  while (rush.going) {
    const token = `job-${rush.next++}`;
    try {
      await queue.add('late', { token });
      rush.added.push(token);
    } catch (error) {
      rush.errors.push(error.message);
    }
  }
}

async function start(name, width) {
  const queue = await open(name);
  rush = { added: [], errors: [], going: true, next: 0 };
  rush.adders = Array.from({ length: width }, () => adder(queue));
  return {};
}

async function stop() {
  rush.going = false;
  await Promise.all(rush.adders);
  return { added: rush.added, errors: rush.errors };
}

async function answer(asked) {
  if (asked.do === 'open') return (await open(asked.queue)) && {};
  if (asked.do === 'obliterate') return obliterate(asked.queue);
  return asked.do === 'rush' ? start(asked.queue, asked.width) : stop();
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
  }
  process.exit(0);
}
main();
