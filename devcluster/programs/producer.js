// A BullMQ producer. Environment: REDIS_URL, BULLMQ_QUEUE_NAME, BULLMQ_PREFIX, BULLMQ_PACKAGE, LEDGER, LEDGER_URL and
//   PLAN    JSON list of {count, name, data, opts}, added in order; or
//   COUNT   so many jobs (0: until SIGTERM), with JOB_DATA and JOB_OPTS (JSON)
//   RATE    jobs a second (default: as fast as they are acknowledged)
// Prints {"added": id} for each acknowledged job, {"error": …} for one that was not. Exits 0 at the end or on SIGTERM;
// with STAY=1 it waits for SIGTERM when it is done, so that it can be a Deployment.
'use strict';
const { setTimeout: sleep } = require('node:timers/promises');
const { bullmq, ledger, options, required } = require('./connection');

const env = process.env;
const url = required('REDIS_URL');
const queueName = required('BULLMQ_QUEUE_NAME');
const book = ledger(env.LEDGER_URL || url, env.LEDGER);
const say = (line) => console.log(JSON.stringify(line));
const { Queue } = bullmq();
// One retry: a producer that hangs while Redis is away would hide what was not acknowledged.
const connection = options(url, { maxRetriesPerRequest: 1 });
const queue = new Queue(queueName, { connection, prefix: env.BULLMQ_PREFIX || 'bull' });
queue.on('error', () => {}); // said at the add that failed
let stopping = false;
let wake = () => {};

function* planned() {
  const single = { count: Number(env.COUNT || 0) || Infinity, data: JSON.parse(env.JOB_DATA || '{}'), opts: JSON.parse(env.JOB_OPTS || '{}') };
  for (const step of env.PLAN ? JSON.parse(env.PLAN) : [single]) {
    for (let i = 0; i < (step.count ?? 1); i++) yield { name: step.name ?? 'job', data: step.data ?? {}, opts: step.opts ?? {} };
  }
}

async function run() {
  const pause = env.RATE ? 1000 / Number(env.RATE) : 0;
  let due = Date.now();
  for (const { name, data, opts } of planned()) {
    if (stopping) break;
    try {
      const job = await queue.add(name, data, opts);
      await book.added(queueName, job.id);
      say({ added: job.id });
    } catch (error) {
      say({ error: error.message });
      await sleep(200);
    }
    due += pause;
    if (due > Date.now()) await Promise.race([sleep(due - Date.now()), new Promise((resolve) => { wake = resolve; })]);
  }
  if (env.STAY === '1' && !stopping) await new Promise((resolve) => { wake = resolve; setInterval(() => {}, 1 << 30); });
  await queue.close();
  book.close();
  process.exit(0);
}

for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => { stopping = true; wake(); });
run();
