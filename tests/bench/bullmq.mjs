// bullmq.mjs - the same for BullMQ: addBulk of 1,000, then no-op jobs through one Worker.
import { Queue, Worker } from 'bullmq';

const [socket, jobs, width] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const connection = { path: socket, maxRetriesPerRequest: null };
const queue = new Queue('bench', { connection });
const data = { prompt: 'x'.repeat(300) };
await queue.waitUntilReady();
const t0 = performance.now();
for (let i = 0; i < jobs; i += 1000)
  await queue.addBulk(Array.from({ length: 1000 }, () => ({ name: 'j', data })));
const t1 = performance.now();
let done = 0;
const t2 = performance.now();
const worker = await new Promise((resolve) => {
  const w = new Worker('bench', async () => {}, { connection, concurrency: width });
  w.on('completed', () => { if (++done === jobs) resolve(w); });
});
const t3 = performance.now();
console.log(JSON.stringify({ what: 'bullmq', jobs, width,
  in_per_s: Math.round(jobs * 1000 / (t1 - t0)),
  through_per_s: Math.round(jobs * 1000 / (t3 - t2)) }));
await worker.close();
await queue.close();
