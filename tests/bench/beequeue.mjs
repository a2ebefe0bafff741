// beequeue.mjs - jobs through bee-queue: saveAll of 1,000, then no-op jobs through one worker, with
// the settings its documentation names as the ones that save work. SOCKET JOBS WIDTH
import Queue from 'bee-queue';

const [socket, jobs, width] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const lean = { redis: { path: socket }, getEvents: false, sendEvents: false, storeJobs: false,
  removeOnSuccess: true, activateDelayedJobs: false };
const queue = new Queue('bench', { ...lean, isWorker: false });
const data = { prompt: 'x'.repeat(300) };
await queue.ready();
const t0 = performance.now();
for (let i = 0; i < jobs; i += 1000)
  await queue.saveAll(Array.from({ length: 1000 }, () => queue.createJob(data)));
const t1 = performance.now();
const worker = new Queue('bench', lean);
await worker.ready();
const t2 = performance.now();
await new Promise((resolve) => {
  let done = 0;
  worker.on('succeeded', () => { if (++done === jobs) resolve(); });
  worker.process(width, async () => {});
});
const t3 = performance.now();
console.log(JSON.stringify({ in_per_s: Math.round(jobs * 1000 / (t1 - t0)),
  through_per_s: Math.round(jobs * 1000 / (t3 - t2)) }));
process.exit(0);
