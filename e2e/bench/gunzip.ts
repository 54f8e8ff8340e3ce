import { createReadStream } from 'node:fs';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';

/**
 * The unit of all results, G: what Node's gunzip takes for the given files, one after another, as a
 * process that does nothing else. Chunks are of the size at which it is fastest.
 */
const CHUNK_BYTES = 64 * 1024;

for (const path of process.argv.slice(2)) {
  await pipeline(
    createReadStream(path, { highWaterMark: CHUNK_BYTES }),
    createGunzip({ chunkSize: CHUNK_BYTES }),
    new Writable({ write: (_chunk, _encoding, done) => done(), highWaterMark: 4 * CHUNK_BYTES }),
  );
}
