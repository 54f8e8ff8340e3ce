/** What `apt-cache show` says of one package. */
export interface PackageRecord {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Of the .deb, 64 hex digits. */
  readonly sha256: string;
}

/** Parses the output of `apt-cache show --no-all-versions` (deb-control paragraphs). */
export function parseShow(output: string): readonly PackageRecord[] {
  const records: PackageRecord[] = [];
  for (const paragraph of output.split(/\n\n+/)) {
    const field = (name: string): string | undefined =>
      new RegExp(`^${name}: *(\\S+)`, 'm').exec(paragraph)?.[1];
    const name = field('Package');
    const version = field('Version');
    const architecture = field('Architecture');
    const sha256 = field('SHA256');
    if (name && version && architecture && sha256) records.push({ name, version, architecture, sha256 });
  }
  return records;
}

/**
 * The packages that `roots` need, themselves included, from the output of
 * `apt-cache depends --recurse`: of alternatives (marked `|`) the first, of virtual packages
 * (in `<>`) nothing.
 */
export function parseDepends(output: string, roots: readonly string[]): readonly string[] {
  const needs = new Map<string, string[]>();
  let current: string[] = [];
  let alternative = false;
  for (const line of output.split('\n')) {
    const heading = /^([a-z0-9][a-z0-9.+-]*)(?::\w+)?$/.exec(line)?.[1];
    if (heading !== undefined) {
      current = [];
      needs.set(heading, current);
      alternative = false;
      continue;
    }
    const need = /^ ([ |])(?:Pre)?Depends: ([a-z0-9][a-z0-9.+-]*)/.exec(line);
    if (need === null) continue;
    const skipped = alternative;
    alternative = need[1] === '|';
    if (!skipped && need[2] !== undefined) current.push(need[2]);
  }
  const found = new Set<string>();
  const visit = (name: string): void => {
    if (found.has(name)) return;
    found.add(name);
    for (const next of needs.get(name) ?? []) visit(next);
  };
  for (const root of roots) visit(root);
  return [...found].sort();
}
