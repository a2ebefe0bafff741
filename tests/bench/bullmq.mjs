// bullmq.mjs - jobs through BullMQ: addBulk of 1,000, then no-op jobs through one Worker; finished
// jobs are removed, which is quicker than keeping them. SOCKET JOBS WIDTH
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';

const [socket, jobs, width] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const connect = () => new Redis({ path: socket, maxRetriesPerRequest: null });
const queue = new Queue('bench', { connection: connect() });
const data = { prompt: 'x'.repeat(300) };
await queue.waitUntilReady();
const t0 = performance.now();
for (let i = 0; i < jobs; i += 1000)
  await queue.addBulk(Array.from({ length: 1000 },
    () => ({ name: 'j', data, opts: { removeOnComplete: true } })));
const t1 = performance.now();
const worker = new Worker('bench', async () => {},
  { connection: connect(), concurrency: width, autorun: false });
await worker.waitUntilReady();
const t2 = performance.now();
await new Promise((resolve) => {
  let done = 0;
  worker.on('completed', () => { if (++done === jobs) resolve(); });
  worker.run();
});
const t3 = performance.now();
console.log(JSON.stringify({ in_per_s: Math.round(jobs * 1000 / (t1 - t0)),
  through_per_s: Math.round(jobs * 1000 / (t3 - t2)) }));
process.exit(0);
