// sdk.mjs - pictures through Google's SDK as its users have them made: WIDTH calls in flight, each
// picture decoded from base64 and written to a file. URL FOLDER MODEL IMAGES WIDTH
// Says "ready" once it is warm, begins when told by a line, says "done" and ends when told.
import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { GoogleGenAI } from '@google/genai';

const [baseUrl, folder, model, images, width] = process.argv.slice(2);
const ai = new GoogleGenAI({ apiKey: 'a-key', httpOptions: { baseUrl } });

async function make(id) {
  const answer = await ai.models.generateContent({ model, contents: `picture number ${id}` });
  for (const part of answer.candidates[0].content.parts)
    if (part.inlineData)
      await writeFile(`${folder}/${id}.png`, Buffer.from(part.inlineData.data, 'base64'));
}

async function pool(name, count, atOnce) {
  let next = 0;
  const one = async () => { while (next < count) await make(name + next++); };
  await Promise.all(Array.from({ length: atOnce }, one));
}

const told = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
await pool('warm', 8, 8);
console.log('ready');
await told.next();
await pool('', Number(images), Number(width));
console.log('done');
await told.next();
process.exit(0);
