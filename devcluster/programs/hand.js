// A producer and worker that stays, so that one step of a test costs a round trip and not the start of a process.
// Environment: REDIS_URL, BULLMQ_PREFIX, BULLMQ_PACKAGE. Reads one JSON object a line, {"queue": name, "step": [what, ...args]},
// and answers each, in order, by a line {"result"} or {"error"}. A job that is being finished is told before BullMQ hears of it, by
// a line {"done": data.token}: stdout is a pipe and written at once, so that it is told even if we are killed right then.
// A step is one of BullMQ's Queue (add, addBulk, pause, retryJobs, ...), on a handle that was opened once, or
//   open                    the handles of this queue, before anything else happens to it
//   addFlow flow, addFlows flows     FlowProducer.add and .addBulk
//   job id method ...args   a method of a Job; null when there is no such job
//   take                    take a job and keep it; its token, or null
//   finish options          finish the job that was taken first ({fail: true}: fail it); its token, or null
//   forget                  the jobs that were taken, as a process does that is killed
//   process n options       take and finish up to n jobs; how many
//   schedule id every data  a job scheduler, or what this major has in its place
//   unschedule              remove all of them
//   attach options          a Worker that runs by itself (data.ms: how long a job takes); returns once it is ready
//   detach                  close it, as SIGTERM does
// Ends when stdin does.
'use strict';
const readline = require('node:readline');
const { setTimeout: sleep } = require('node:timers/promises');
const { bullmq, options, required } = require('./connection');
const { Queue, FlowProducer, Worker } = bullmq();

const url = required('REDIS_URL');
const prefix = process.env.BULLMQ_PREFIX || 'bull';
const TOKEN = 'hand';
// One retry: an add that hangs while Redis is away would hide that it was not acknowledged.
const asking = { connection: options(url, { maxRetriesPerRequest: 1 }), prefix };
const working = { connection: options(url, { maxRetriesPerRequest: null }), prefix };
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const quiet = (handle) => handle.on('error', () => {}) && handle; // said by the step that failed
const flows = quiet(new FlowProducer(asking));
const queues = new Map();

function open(name) {
  if (!queues.has(name)) {
    const manual = { ...working, autorun: false, lockDuration: 60000, skipStalledCheck: true, skipLockRenewal: true };
    queues.set(name, { queue: quiet(new Queue(name, asking)), taker: quiet(new Worker(name, null, manual)), taken: [] });
  }
  return queues.get(name);
}

async function take({ taker, taken }) {
  const job = await taker.getNextJob(TOKEN, { block: false });
  if (job) taken.push(job);
  return job ? job.data.token ?? '' : null;
}

async function finish({ taken }, { fail = false } = {}) {
  const job = taken.shift();
  if (!job) return null;
  if (fail) await job.moveToFailed(new Error('asked to fail'), TOKEN, false);
  else {
    say({ done: job.data.token });
    await job.moveToCompleted('done', TOKEN, false);
  }
  return job.data.token ?? '';
}

async function attach(at, name, opts) {
  const run = async (job) => {
    await sleep(job.data.ms ?? 0);
    say({ done: job.data.token });
  };
  at.worker = quiet(new Worker(name, run, { ...working, ...opts }));
  await at.worker.waitUntilReady();
}

const own = {
  open: async ({ queue, taker }) => { await Promise.all([queue.waitUntilReady(), taker.waitUntilReady()]); },
  addFlow: (_, __, flow) => flows.add(flow),
  addFlows: (_, __, many) => flows.addBulk(many),
  job: async ({ queue }, _, id, method, ...args) => {
    const job = await queue.getJob(id);
    return job ? job[method](...args) : null;
  },
  take,
  finish: (at, _, opts) => finish(at, opts),
  forget: async ({ taken }) => { taken.length = 0; },
  process: async (at, _, count, opts) => {
    let done = 0;
    while (done < count && (await take(at)) !== null) {
      await finish(at, opts);
      done += 1;
    }
    return done;
  },
  schedule: ({ queue }, _, id, every, data) => (queue.upsertJobScheduler
    ? queue.upsertJobScheduler(id, { every }, { data })
    : queue.add(id, data, { repeat: { every } })),
  unschedule: async ({ queue }) => {
    if (!queue.getJobSchedulers) for (const { key } of await queue.getRepeatableJobs()) await queue.removeRepeatableByKey(key);
    else for (const { key } of await queue.getJobSchedulers()) await queue.removeJobScheduler(key);
  },
  attach,
  detach: async (at) => { await at.worker?.close(); at.worker = undefined; },
};

function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (value && value.job) return { job: plain(value.job), children: plain(value.children ?? []) };
  return value && typeof value.toJSON === 'function' ? value.toJSON() : value ?? null;
}

async function answer({ queue: name, step: [what, ...args] }) {
  const at = open(name);
  if (own[what]) return own[what](at, name, ...args);
  if (typeof at.queue[what] !== 'function') throw new Error(`BullMQ's Queue has no method ${what}`);
  return at.queue[what](...args);
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    try {
      say({ result: plain(await answer(JSON.parse(line))) });
    } catch (error) {
      say({ error: error.message || String(error) });
    }
  }
  process.exit(0);
}
main();
