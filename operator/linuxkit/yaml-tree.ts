import { EVENT_ID, type Event, parseEvents, YAMLException } from 'js-yaml';
import { LinuxKitConfigError } from './errors.ts';
import { TextPositions } from './text-positions.ts';
import { Composer } from './yaml-composer.ts';
import type { YamlNode } from './yaml-node.ts';

/** Reading YAML: one document, of bounded size and depth, with a place for every problem. */

/** Largest document, in bytes of UTF-8: what fits into a ConfigMap. */
export const MAX_DOCUMENT_BYTES = 1_048_576;
/** Deepest nesting of lists and maps. A configuration needs less than ten. */
export const MAX_DEPTH = 50;

/** Throws {@link LinuxKitConfigError} with all problems found. `source` names the text in them. */
export function readYamlTree(text: string, source: string): YamlNode {
  if (Buffer.byteLength(text) > MAX_DOCUMENT_BYTES) {
    throw failure(source, `the document is larger than MAX_DOCUMENT_BYTES (${MAX_DOCUMENT_BYTES})`);
  }
  const events = readEvents(text, source);
  const documents = events.filter((event) => event.type === EVENT_ID.DOCUMENT).length;
  if (documents === 0) throw failure(source, 'the document is empty');
  if (documents > 1) throw failure(source, `there are ${documents} documents where one is expected`);
  return new Composer(text, source, events).compose();
}

function readEvents(text: string, source: string): readonly Event[] {
  try {
    return parseEvents(text, { maxDepth: MAX_DEPTH });
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const deep = /nesting|depth/i.test(error.reason) ? ` (MAX_DEPTH is ${MAX_DEPTH})` : '';
    const message = `not valid YAML: ${error.reason}${deep}`;
    const at = error.mark && new TextPositions(text).at(error.mark.position);
    throw new LinuxKitConfigError([{ path: '', source, ...at, message }]);
  }
}

function failure(source: string, message: string): LinuxKitConfigError {
  return new LinuxKitConfigError([{ path: '', source, message }]);
}
