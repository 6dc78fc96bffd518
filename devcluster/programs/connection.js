// What all programs share: which BullMQ, which Redis, and the ledger.
'use strict';
const { readFileSync } = require('node:fs');

// One npm alias per major (package.json), so that several can be installed side by side.
exports.bullmq = () => require(process.env.BULLMQ_PACKAGE || 'bullmq6');

// Options, not a client: each BullMQ major then makes its own clients with its own library. A Cluster is the exception:
// BullMQ takes it as a client only, which its maker must close (exports.closeClusters).
//   redis://…, rediss://…?ca=FILE                  one server; TLS with this authority
//   redis+cluster://…, rediss+cluster://…          any node of a Redis Cluster
//   redis+sentinel://…host:port,host:port/0?master=NAME&password=OF_THE_SENTINELS
exports.options = (url, extra = {}) => {
  const [, scheme, kind = '', login = '', hosts, database = '0', query = ''] = URL_PARTS.exec(url);
  const [username, password] = login.slice(0, -1).split(':').map(decodeURIComponent);
  const more = new URLSearchParams(query);
  const nodes = hosts.split(',').map((node) => new URL(`redis://${node}`)).map(({ hostname, port }) => ({ host: hostname, port: Number(port || 6379) }));
  const common = { username: username || undefined, password: password || undefined, ...(scheme === 'rediss' && { tls: { ca: readFileSync(more.get('ca')) } }), ...extra };
  if (kind === '+cluster') return cluster(nodes, common);
  if (kind === '+sentinel') return { sentinels: nodes, name: more.get('master'), sentinelPassword: more.get('password') ?? undefined, db: Number(database), ...common };
  return { ...nodes[0], db: Number(database), ...common };
};
const URL_PARTS = /^(rediss?)(\+\w+)?:\/\/([^@]*@)?([^/?]+)\/?(\d*)(?:\?(.*))?$/;
const clusters = [];

function cluster(nodes, redisOptions) {
  const { Cluster } = require('ioredis');
  clusters.push(new Cluster(nodes, { redisOptions }));
  return clusters.at(-1);
}
exports.closeClusters = () => clusters.splice(0).forEach((client) => client.disconnect());

exports.required = (name) => {
  if (process.env[name]) return process.env[name];
  console.error(`${name} is not set`);
  return process.exit(2);
};

// The ledger says what happened apart from BullMQ's own keys, which the operator may delete:
//   ledger:<name>:added  hash  <queue>:<job id> → 1      the add was acknowledged
//   ledger:<name>:done   hash  <queue>:<job id> → count  a worker finished it, so often
exports.ledger = (url, name) => {
  if (!name) return { added: async () => {}, done: async () => {}, close: () => {} };
  const Redis = require('ioredis');
  const options = exports.options(url, { maxRetriesPerRequest: null });
  const client = clusters.includes(options) ? options : new Redis(options);
  client.on('error', (error) => console.error(`ledger: ${error.message}`));
  return {
    added: (queue, id) => client.hset(`ledger:${name}:added`, `${queue}:${id}`, 1),
    done: (queue, id) => client.hincrby(`ledger:${name}:done`, `${queue}:${id}`, 1),
    close: () => client.disconnect(),
  };
};
