import { LinuxKitConfigError, type Problem } from './errors.ts';
import { LISTS, mergeConfigs } from './merge.ts';
import { type RuleOptions, ruleProblems, type SoundConfig } from './rules.ts';
import { configSchema, type LinuxKitConfig, OUTPUT_FORMATS, type OutputFormat } from './schema.ts';
import { type FieldPath, type FieldProblem, formatPath, structureProblems } from './structure.ts';
import { TextPositions } from './text-positions.ts';
import { plainValue, type YamlNode } from './yaml-node.ts';
import { readYamlTree } from './yaml-tree.ts';

/**
 * From LinuxKit YAML, or from the object of an inline configuration, to a checked model. All
 * problems are reported at once, in the order of the text, with line and column.
 */

export interface LinuxKitSource {
  /** Name of the text in messages: a file name, or `namespace/name[key]` of a ConfigMap. */
  readonly name: string;
  readonly text: string;
}

export interface ParseOptions {
  /** Whether `files[].source` may read the machine that builds. */
  readonly allowSource: boolean;
  /** Whether a configuration without a kernel is refused. */
  readonly requireKernel?: boolean;
  /** Output formats that `outputs` may name; all that exist by default. */
  readonly formats?: readonly OutputFormat[];
}

/** Throws {@link LinuxKitConfigError}. */
export function parseLinuxKit(
  text: string,
  options: ParseOptions & { readonly source: string },
): LinuxKitConfig {
  return parseLinuxKitFiles([{ name: options.source, text }], options);
}

/** Several files as one configuration, in their order (merge.ts). Throws {@link LinuxKitConfigError}. */
export function parseLinuxKitFiles(
  sources: readonly LinuxKitSource[],
  options: ParseOptions,
): LinuxKitConfig {
  const documents = readAll(sources);
  return check(
    documents.map(({ value }) => value),
    options,
    (index, problem) => documents[index]?.problem(problem) ?? bareProblem(problem),
  );
}

/** An inline configuration. Problems have paths alone. Throws {@link LinuxKitConfigError}. */
export function parseLinuxKitObject(value: unknown, options: ParseOptions): LinuxKitConfig {
  return check([value], options, (_, problem) => bareProblem(problem));
}

function bareProblem({ path, message }: FieldProblem): Problem {
  return { path: formatPath(path), message };
}

/** Problems of each document's syntax come first: there is no structure to speak of before. */
function readAll(sources: readonly LinuxKitSource[]): readonly TextDocument[] {
  const problems: Problem[] = [];
  const documents = sources.flatMap(({ name, text }) => {
    try {
      return [new TextDocument(name, text)];
    } catch (error) {
      if (!(error instanceof LinuxKitConfigError)) throw error;
      problems.push(...error.problems);
      return [];
    }
  });
  if (problems.length > 0) throw new LinuxKitConfigError(problems);
  return documents;
}

function check(
  values: readonly unknown[],
  { allowSource, requireKernel = false, formats = OUTPUT_FORMATS }: ParseOptions,
  locate: (document: number, problem: FieldProblem) => Problem,
): LinuxKitConfig {
  const structure = values.map((value) => structureProblems(configSchema, value));
  // A kernel that is there but wrong is not missing as well.
  const kernelIsWrong = structure.flat().some(({ path }) => path.length === 0 || path[0] === 'kernel');
  const options: RuleOptions = { allowSource, requireKernel: requireKernel && !kernelIsWrong, formats };
  const sound = values.map((value, index) => soundParts(value, structure[index] ?? []));
  // Only fields that passed the schema are left, so this is a configuration but for what is missing.
  const merged = mergeConfigs(sound as readonly LinuxKitConfig[]) as SoundConfig;
  const meaning = ruleProblems(merged, options).map((problem) => inDocument(problem, sound));
  const found = [
    ...structure.flatMap((list, document) => list.map((problem) => ({ document, problem }))),
    ...meaning,
  ];
  if (found.length > 0) {
    const placed = found.map(({ document, problem }) => ({ document, problem: locate(document, problem) }));
    throw new LinuxKitConfigError(placed.toSorted(byPosition).map(({ problem }) => problem));
  }
  return mergeConfigs(values.map((value) => configSchema.parse(value)));
}

interface Placed {
  readonly document: number;
  readonly problem: Problem;
}

function byPosition(a: Placed, b: Placed): number {
  return (
    a.document - b.document ||
    (a.problem.line ?? 0) - (b.problem.line ?? 0) ||
    (a.problem.column ?? 0) - (b.problem.column ?? 0)
  );
}

/**
 * The parts of a value in which the schema found nothing wrong, with undefined in the places of
 * bad entries of lists: so that problems of meaning are found beside problems of structure.
 */
function soundParts(value: unknown, problems: readonly FieldProblem[]): SoundConfig {
  if (!isRecord(value)) return {};
  const bad = new Set(
    problems.flatMap(({ path, unknown }) => (unknown ? [] : [formatPath(unsoundPart(path))])),
  );
  const parts = Object.entries(value).flatMap(([section, content]): readonly [string, unknown][] => {
    if (bad.has(section) || !Object.hasOwn(configSchema.shape, section)) return [];
    if (!Array.isArray(content)) return [[section, soundFields(content, [section], bad)]];
    return [[section, content.map((entry, index) => soundFields(entry, [section, index], bad))]];
  });
  return Object.fromEntries(parts);
}

/** `services[0].binds[1]` of a path that leads there or deeper; otherwise the field of the entry as a whole. */
function unsoundPart(path: FieldPath): FieldPath {
  return path.slice(0, typeof path[3] === 'number' ? 4 : 3);
}

function soundFields(value: unknown, path: FieldPath, bad: ReadonlySet<string>): unknown {
  // If it is the entry as a whole that is wrong, its fields are still what they are.
  if (!isRecord(value)) return bad.has(formatPath(path)) ? {} : value;
  const fields = Object.entries(value).filter(([key]) => !bad.has(formatPath([...path, key])));
  return Object.fromEntries(
    fields.map(([key, field]) => [
      key,
      Array.isArray(field)
        ? field.map((item: unknown, index) => (bad.has(formatPath([...path, key, index])) ? undefined : item))
        : field,
    ]),
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Which document a problem of the merged configuration comes from, with its path there. */
function inDocument(
  problem: FieldProblem,
  documents: readonly SoundConfig[],
): { readonly document: number; readonly problem: FieldProblem } {
  const [section, index, ...rest] = problem.path;
  const list = LISTS.find((name) => name === section);
  let remaining = typeof index === 'number' ? index : 0;
  for (const [document, config] of documents.entries()) {
    const entries: unknown = list && Object.entries(config).find(([name]) => name === list)?.[1];
    const length = Array.isArray(entries) ? entries.length : 0;
    if (list !== undefined && remaining < length) {
      return { document, problem: { ...problem, path: [list, remaining, ...rest] } };
    }
    remaining -= length;
  }
  return { document: Math.max(documents.length - 1, 0), problem };
}

class TextDocument {
  readonly value: unknown;
  readonly #name: string;
  readonly #root: YamlNode;
  readonly #positions: TextPositions;

  constructor(name: string, text: string) {
    this.#name = name;
    this.#root = readYamlTree(text, name);
    this.#positions = new TextPositions(text);
    this.value = plainValue(this.#root);
  }

  problem(problem: FieldProblem): Problem {
    const position = this.#positions.at(offsetOf(this.#root, problem.path, problem.unknown ?? false));
    return { path: formatPath(problem.path), message: problem.message, source: this.#name, ...position };
  }
}

/** Where a field stands, or the last part of its path that is there. */
function offsetOf(root: YamlNode, path: FieldPath, key: boolean): number {
  let node = root;
  let offset = root.offset;
  for (const [depth, segment] of path.entries()) {
    if (node.kind === 'mapping' && typeof segment === 'string') {
      const entry = node.entries.get(segment);
      if (entry === undefined) return offset;
      node = entry.value;
      offset = key && depth === path.length - 1 ? entry.keyOffset : node.offset;
    } else if (node.kind === 'sequence' && typeof segment === 'number') {
      const item = node.items[segment];
      if (item === undefined) return offset;
      node = item;
      offset = node.offset;
    } else {
      return offset;
    }
  }
  return offset;
}
