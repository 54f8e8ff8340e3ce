import { createReadStream } from 'node:fs';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';

/**
 * The unit of all results, G: seconds that Node's gunzip takes for the given files, one after another,
 * doing nothing else. Run as a program it prints them. Chunks are of the size at which it is fastest.
 */
const CHUNK_BYTES = 64 * 1024;

const begun = performance.now();
for (const path of process.argv.slice(2)) {
  await pipeline(
    createReadStream(path, { highWaterMark: CHUNK_BYTES }),
    createGunzip({ chunkSize: CHUNK_BYTES }),
    new Writable({ write: (_chunk, _encoding, done) => done(), highWaterMark: 4 * CHUNK_BYTES }),
  );
}
process.stdout.write(`${(performance.now() - begun) / 1000}\n`);
