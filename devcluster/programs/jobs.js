// Queue operations by script: for each line on stdin, a JSON object, prints one: {"results": [...]} or {"error", "step", "results"}.
// Every script has handles and connections of its own. Ends with its stdin.
//   {"url": …, "queue": …, "prefix": …, "steps": [[method, ...args], ...]}
// A step's method is one of BullMQ's Queue (add, addBulk, pause, upsertJobScheduler, getJobCounts, obliterate, …), or
//   addFlow flow            FlowProducer.add
//   job id method ...args   a method of a Job (promote, remove, retry, getState, …); null when there is no such job
//   process n options       a worker finishes n jobs now ({fail: true}: fails them, {leaveActive: true}: takes and abandons them;
//                           {worker: {...}}: more options of the worker, such as metrics)
'use strict';
const readline = require('node:readline');
const { bullmq, closeClusters, options } = require('./connection');
const { Queue, FlowProducer, Worker } = bullmq();

function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value.toJSON === 'function') return value.toJSON();
  if (value && value.job) return { job: plain(value.job), children: plain(value.children ?? []) };
  return value ?? null;
}

async function processJobs(script, base, count, { fail = false, leaveActive = false, token = 'script', worker: more = {} } = {}) {
  const worker = new Worker(script.queue, null, { ...base, lockDuration: 60000, skipStalledCheck: true, skipLockRenewal: true, ...more });
  const taken = [];
  try {
    await worker.waitUntilReady();
    while (taken.length < count) {
      const job = await worker.getNextJob(token, { block: false });
      if (!job) break;
      taken.push(job.id);
      if (leaveActive) continue;
      if (fail) await job.moveToFailed(new Error('asked to fail'), token, false);
      else await job.moveToCompleted('done', token, false);
    }
  } finally {
    await worker.close(true);
  }
  return taken;
}

async function one(script, base, queue, [method, ...args]) {
  if (method === 'addFlow') {
    const flows = new FlowProducer(base);
    try {
      return await flows.add(...args);
    } finally {
      await flows.close();
    }
  }
  if (method === 'process') return processJobs(script, base, ...args);
  if (method === 'job') {
    const [id, what, ...rest] = args;
    const job = await queue.getJob(id);
    return job ? job[what](...rest) : null;
  }
  if (typeof queue[method] !== 'function') throw new Error(`BullMQ's Queue has no method ${method}`);
  return queue[method](...args);
}

async function answered(script) {
  const base = { connection: options(script.url, { maxRetriesPerRequest: null }), prefix: script.prefix ?? 'bull' };
  const queue = new Queue(script.queue, base);
  const answer = { results: [] };
  for (const [index, step] of script.steps.entries()) {
    try {
      answer.results.push(plain(await one(script, base, queue, step)));
    } catch (error) {
      Object.assign(answer, { error: error.message, step: index });
      break;
    }
  }
  await queue.close();
  closeClusters();
  return answer;
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await answered(JSON.parse(line))));
  }
}
main();
