// A BullMQ worker. Environment: REDIS_URL, BULLMQ_QUEUE_NAME (or BULLMQ_QUEUE_NAMES, a JSON list),
// BULLMQ_PREFIX, BULLMQ_PACKAGE, JOB_MS, CONCURRENCY, LOCK_MS, STALLED_MS, WORKER_NAME, LEDGER, LEDGER_URL,
// POD_IP and HTTP_PORT (200 on any path once every worker is attached, 503 before and while closing).
// Job data: `ms` overrides JOB_MS; `fail: n` fails the first n attempts.
// SIGTERM: takes no new job, finishes those it has, exits 0.
'use strict';
const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');
const { bullmq, ledger, options, required } = require('./connection');

const env = process.env;
const url = required('REDIS_URL');
const queues = env.BULLMQ_QUEUE_NAMES ? JSON.parse(env.BULLMQ_QUEUE_NAMES) : [required('BULLMQ_QUEUE_NAME')];
const book = ledger(env.LEDGER_URL || url, env.LEDGER);
const log = (event, fields = {}) => console.log(JSON.stringify({ time: new Date().toISOString(), event, ...fields }));
let ready = false;

async function process_(job) {
  log('start', { queue: job.queueName, id: job.id });
  await sleep(Number(job.data?.ms ?? env.JOB_MS ?? 0));
  // v4 counts the attempt that is going on; later majors have attemptsStarted for that.
  const made = job.attemptsStarted === undefined ? job.attemptsMade - 1 : job.attemptsMade;
  if (made < Number(job.data?.fail ?? 0)) throw new Error(`asked to fail, attempt ${made + 1}`);
  await book.done(job.queueName, job.id);
  log('done', { queue: job.queueName, id: job.id });
  return { worker: env.WORKER_NAME || env.HOSTNAME };
}

const { Worker } = bullmq();
const workers = queues.map((queue) => {
  const worker = new Worker(queue, process_, {
    connection: options(url, { maxRetriesPerRequest: null }),
    prefix: env.BULLMQ_PREFIX || 'bull',
    concurrency: Number(env.CONCURRENCY || 1),
    lockDuration: Number(env.LOCK_MS || 30000),
    stalledInterval: Number(env.STALLED_MS || 30000),
    name: env.WORKER_NAME || env.HOSTNAME,
  });
  worker.on('error', (error) => log('error', { queue, message: error.message }));
  worker.on('stalled', (id) => log('stalled', { queue, id }));
  worker.on('failed', (job, error) => log('failed', { queue, id: job?.id, message: error.message }));
  return worker;
});

if (env.POD_IP) {
  http
    .createServer((_, response) => response.writeHead(ready ? 200 : 503).end(ready ? 'ready\n' : 'not ready\n'))
    .listen(Number(env.HTTP_PORT || 8080), env.POD_IP);
}

Promise.all(workers.map((worker) => worker.waitUntilReady())).then(() => {
  ready = true;
  log('ready', { queues, bullmq: bullmq().version ?? require(`${env.BULLMQ_PACKAGE || 'bullmq6'}/package.json`).version });
});

let closing = false;
async function close() {
  if (closing) return;
  closing = true;
  ready = false;
  log('closing');
  await Promise.all(workers.map((worker) => worker.close()));
  book.close();
  log('closed');
  process.exit(0);
}
process.on('SIGTERM', close);
process.on('SIGINT', close);
