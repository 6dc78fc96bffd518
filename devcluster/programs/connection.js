// What all programs share: which BullMQ, which Redis, and the ledger.
'use strict';

// One npm alias per major (package.json), so that several can be installed side by side.
exports.bullmq = () => require(process.env.BULLMQ_PACKAGE || 'bullmq6');

// Options, not a client: each BullMQ major then makes its own clients with its own library.
exports.options = (url, extra = {}) => {
  const parsed = new URL(url);
  return {
    host: parsed.hostname,
    port: Number(parsed.port || 6379),
    username: decodeURIComponent(parsed.username) || undefined,
    password: decodeURIComponent(parsed.password) || undefined,
    db: Number(parsed.pathname.slice(1) || 0),
    ...extra,
  };
};

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
  const client = new Redis(exports.options(url, { maxRetriesPerRequest: null }));
  client.on('error', (error) => console.error(`ledger: ${error.message}`));
  return {
    added: (queue, id) => client.hset(`ledger:${name}:added`, `${queue}:${id}`, 1),
    done: (queue, id) => client.hincrby(`ledger:${name}:done`, `${queue}:${id}`, 1),
    close: () => client.disconnect(),
  };
};
