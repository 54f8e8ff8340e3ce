import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | undefined;

/**
 * Frees what nobody needs any more, in some dozen milliseconds. V8 looks for it when the heap has grown by as much
 * as was found needed last; a build's heap grows in leaps, and its thread then waits for others.
 */
export function collectGarbage(): void {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
}
