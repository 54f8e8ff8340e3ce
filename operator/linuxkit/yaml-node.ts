import type { Scalar } from './yaml-scalars.ts';

/** YAML text as a tree that knows where each of its parts stands. Aliases share nodes; merge keys are resolved. */

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
