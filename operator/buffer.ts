/**
 * Frees the memory that a buffer lies in now; whoever else has a part of it loses that. Buffers lie outside of V8's
 * heap and weigh nothing in it, so they would pile up until everything there is gets marked.
 *
 * A small one that Node cut out of the memory it keeps for those (`Buffer.poolSize`) is left alone.
 */
export function freeBuffer({ buffer, byteLength }: Uint8Array): void {
  const maybePooled = byteLength < buffer.byteLength && buffer.byteLength === Buffer.poolSize;
  if (!maybePooled) (buffer as ArrayBuffer).transfer(0);
}

/** Whether nothing comes after it in its buffer: of a stream's chunk, that the stream is done with the buffer too. */
export function endsBuffer({ buffer, byteOffset, length }: Uint8Array): boolean {
  return byteOffset + length === buffer.byteLength;
}
