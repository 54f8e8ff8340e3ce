import {
  EVENT_ID,
  type Event,
  getScalarValue,
  parseEvents,
  SCALAR_STYLE,
  type ScalarEvent,
  YAMLException,
} from 'js-yaml';
import { LinuxKitConfigError, type Problem } from './errors.ts';
import { TextPositions } from './text-positions.ts';
import { resolvePlainScalar, type Scalar } from './yaml-scalars.ts';

/**
 * YAML text as a tree that knows where each of its parts stands. Aliases share nodes and merge
 * keys are resolved, with a bound on what they may expand to.
 */

export type YamlNode = ScalarNode | SequenceNode | MappingNode;

interface NodeBase {
  /** Offset in the text, in UTF-16 units. */
  readonly offset: number;
  /** Nodes in this one, itself and all expanded aliases included. */
  readonly weight: number;
}

export interface ScalarNode extends NodeBase {
  readonly kind: 'scalar';
  readonly value: Scalar;
}

export interface SequenceNode extends NodeBase {
  readonly kind: 'sequence';
  readonly items: readonly YamlNode[];
}

export interface MappingNode extends NodeBase {
  readonly kind: 'mapping';
  readonly entries: ReadonlyMap<string, MappingEntry>;
}

export interface MappingEntry {
  readonly keyOffset: number;
  readonly value: YamlNode;
}

/** Largest document, in bytes of UTF-8: what fits into a ConfigMap. */
export const MAX_DOCUMENT_BYTES = 1_048_576;
/** Deepest nesting of lists and maps. A configuration needs less than ten. */
export const MAX_DEPTH = 50;
/** Most nodes, counting each use of an alias with all that it stands for. */
export const MAX_NODES = 200_000;

const MERGE_KEY = '<<';

/** Throws {@link LinuxKitConfigError} with all problems found. `source` names the text in them. */
export function readYamlTree(text: string, source: string): YamlNode {
  if (Buffer.byteLength(text) > MAX_DOCUMENT_BYTES) {
    throw failure(source, `the document is larger than ${MAX_DOCUMENT_BYTES} bytes`);
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
    const message = `not valid YAML: ${error.reason}`;
    const at = error.mark && new TextPositions(text).at(error.mark.position);
    throw new LinuxKitConfigError([{ path: '', source, ...at, message }]);
  }
}

function failure(source: string, message: string): LinuxKitConfigError {
  return new LinuxKitConfigError([{ path: '', source, message }]);
}

/** Plain values of a tree, for a schema to check. Maps have no prototype: `__proto__` is a key like any other. */
export function plainValue(node: YamlNode): unknown {
  switch (node.kind) {
    case 'scalar':
      return node.value;
    case 'sequence':
      return node.items.map(plainValue);
    case 'mapping': {
      const value: Record<string, unknown> = Object.create(null);
      for (const [key, entry] of node.entries) value[key] = plainValue(entry.value);
      return value;
    }
    default:
      return node satisfies never;
  }
}

class Composer {
  readonly #text: string;
  readonly #source: string;
  readonly #events: Iterator<Event>;
  readonly #anchors = new Map<string, YamlNode>();
  readonly #problems: Problem[] = [];
  #positions: TextPositions | undefined;
  /** End of what was read last: where a value stands that has no text of its own. */
  #offset = 0;
  #nodes = 0;

  constructor(text: string, source: string, events: readonly Event[]) {
    this.#text = text;
    this.#source = source;
    this.#events = events[Symbol.iterator]();
  }

  compose(): YamlNode {
    this.#next(); // The document's own event.
    const root = this.#node(this.#next());
    if (this.#problems.length > 0) throw new LinuxKitConfigError(this.#problems);
    return root;
  }

  #next(): Event {
    const { value, done } = this.#events.next();
    // The parser closes what it opens, so this cannot be the text's fault.
    if (done === true) throw new Error('the events of a YAML document end early');
    return value;
  }

  #problem(offset: number, message: string): void {
    this.#positions ??= new TextPositions(this.#text);
    this.#problems.push({ path: '', source: this.#source, ...this.#positions.at(offset), message });
  }

  #node(event: Event): YamlNode {
    switch (event.type) {
      case EVENT_ID.SCALAR:
        return this.#anchored(event, this.#scalar(event));
      case EVENT_ID.SEQUENCE:
        this.#checkTag(event, 'seq');
        return this.#anchored(event, this.#sequence(event.start));
      case EVENT_ID.MAPPING:
        this.#checkTag(event, 'map');
        return this.#anchored(event, this.#mapping(event.start));
      case EVENT_ID.ALIAS:
        return this.#alias(event);
      case EVENT_ID.DOCUMENT:
      case EVENT_ID.POP:
        return this.#counted({ kind: 'scalar', value: null, offset: this.#offset, weight: 1 });
      default:
        return event satisfies never;
    }
  }

  #counted<N extends YamlNode>(node: N, added = 1): N {
    this.#nodes += added;
    if (this.#nodes > MAX_NODES) {
      throw failure(this.#source, `the document has more than ${MAX_NODES} nodes, aliases expanded`);
    }
    return node;
  }

  #anchored(event: { readonly anchorStart: number; readonly anchorEnd: number }, node: YamlNode): YamlNode {
    if (event.anchorStart >= 0) this.#anchors.set(this.#text.slice(event.anchorStart, event.anchorEnd), node);
    return node;
  }

  #alias(event: { readonly anchorStart: number; readonly anchorEnd: number }): YamlNode {
    const name = this.#text.slice(event.anchorStart, event.anchorEnd);
    this.#offset = event.anchorEnd;
    const target = this.#anchors.get(name);
    if (target !== undefined) return this.#counted(target, target.weight);
    this.#problem(event.anchorStart - 1, `no anchor &${name} is complete before its alias`);
    return this.#counted({ kind: 'scalar', value: null, offset: event.anchorStart, weight: 1 });
  }

  #scalar(event: ScalarEvent): ScalarNode {
    const offset = event.valueStart < 0 ? this.#offset : this.#startOf(event);
    if (event.valueEnd >= 0) this.#offset = event.valueEnd;
    return this.#counted({ kind: 'scalar', value: this.#scalarValue(event, offset), offset, weight: 1 });
  }

  /** The opening quote or the block's indicator, rather than the first character after it. */
  #startOf(event: ScalarEvent): number {
    switch (event.style) {
      case SCALAR_STYLE.SINGLE_QUOTED:
      case SCALAR_STYLE.DOUBLE_QUOTED:
        return event.valueStart - 1;
      case SCALAR_STYLE.LITERAL_BLOCK:
      case SCALAR_STYLE.FOLDED_BLOCK:
        return Math.max(
          this.#text.lastIndexOf(event.style === SCALAR_STYLE.LITERAL_BLOCK ? '|' : '>', event.valueStart),
          0,
        );
      case SCALAR_STYLE.PLAIN:
      default:
        return event.valueStart;
    }
  }

  #scalarValue(event: ScalarEvent, offset: number): Scalar {
    const text = getScalarValue(this.#text, event);
    const plain = event.style === SCALAR_STYLE.PLAIN;
    if (event.tagStart < 0) return plain ? resolvePlainScalar(text) : text;
    const tag = this.#tag(event);
    switch (tag) {
      case '!':
      case 'str':
        return text;
      case 'int':
      case 'float':
      case 'bool':
      case 'null':
      case 'merge':
        return resolvePlainScalar(text);
      default:
        this.#problem(offset, `the tag ${this.#text.slice(event.tagStart, event.tagEnd)} is not supported`);
        return text;
    }
  }

  #checkTag(
    event: { readonly start: number; readonly tagStart: number; readonly tagEnd: number },
    expected: string,
  ): void {
    if (event.tagStart < 0) return;
    const tag = this.#tag(event);
    if (tag !== expected && tag !== '!') {
      this.#problem(
        event.start,
        `the tag ${this.#text.slice(event.tagStart, event.tagEnd)} is not supported`,
      );
    }
  }

  /** `str` for `!!str` and its long form. */
  #tag(event: { readonly tagStart: number; readonly tagEnd: number }): string {
    return this.#text
      .slice(event.tagStart, event.tagEnd)
      .replace(/^(?:!!|!<tag:yaml\.org,2002:(.*)>$)/, '$1');
  }

  #sequence(offset: number): SequenceNode {
    const items: YamlNode[] = [];
    for (let event = this.#next(); event.type !== EVENT_ID.POP; event = this.#next())
      items.push(this.#node(event));
    const weight = items.reduce((sum, item) => sum + item.weight, 1);
    return this.#counted({ kind: 'sequence', items, offset, weight });
  }

  #mapping(offset: number): MappingNode {
    const entries = new Map<string, MappingEntry>();
    const merged: MappingNode[] = [];
    let merges = 0;
    for (let event = this.#next(); event.type !== EVENT_ID.POP; event = this.#next()) {
      const isMerge = this.#isMergeKey(event);
      const key = this.#node(event);
      const value = this.#node(this.#next());
      if (isMerge) {
        merges += 1;
        if (merges > 1) this.#problem(key.offset, `the key ${MERGE_KEY} is given twice`);
        merged.push(...this.#mergeSources(value));
      } else if (key.kind !== 'scalar' || typeof key.value !== 'string') {
        this.#problem(key.offset, 'a key must be a string; put it in quotes');
      } else if (entries.has(key.value)) {
        this.#problem(key.offset, `the key ${key.value} is given twice`);
      } else {
        entries.set(key.value, { keyOffset: key.offset, value });
      }
    }
    // Keys of the map itself come first, wherever the merge key stands; then those of earlier sources.
    for (const source of merged) {
      for (const [key, entry] of source.entries) if (!entries.has(key)) entries.set(key, entry);
    }
    const weight = [...entries.values()].reduce((sum, { value }) => sum + value.weight + 1, 1);
    return this.#counted({ kind: 'mapping', entries, offset, weight });
  }

  #isMergeKey(event: Event): boolean {
    return (
      event.type === EVENT_ID.SCALAR &&
      event.style === SCALAR_STYLE.PLAIN &&
      getScalarValue(this.#text, event) === MERGE_KEY &&
      (event.tagStart < 0 || this.#tag(event) === 'merge')
    );
  }

  #mergeSources(value: YamlNode): readonly MappingNode[] {
    const sources = value.kind === 'sequence' ? value.items : [value];
    return sources.flatMap((source) => {
      if (source.kind === 'mapping') return [source];
      this.#problem(source.offset, `${MERGE_KEY} takes a map, or a list of maps`);
      return [];
    });
  }
}
