import { EVENT_ID, type Event, getScalarValue, SCALAR_STYLE, type ScalarEvent } from 'js-yaml';
import { LinuxKitConfigError, type Problem } from './errors.ts';
import { TextPositions } from './text-positions.ts';
import type { MappingEntry, MappingNode, ScalarNode, SequenceNode, YamlNode } from './yaml-node.ts';
import { resolvePlainScalar, type Scalar } from './yaml-scalars.ts';

/** Most nodes, counting each use of an alias with all that it stands for. */
export const MAX_NODES = 200_000;

const MERGE_KEY = '<<';

/**
 * From the events of one document to its tree. Problems are collected, so that a text with
 * several of them is told all at once.
 */
export class Composer {
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
      const message = `the document has more nodes than MAX_NODES (${MAX_NODES}), aliases expanded`;
      throw new LinuxKitConfigError([{ path: '', source: this.#source, message }]);
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
