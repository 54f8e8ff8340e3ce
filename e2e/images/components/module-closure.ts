/**
 * The modules that `wanted` takes, with all that they depend on, in name order. `dependencies`
 * is a modules.dep: a line `PATH: PATH PATH …` a module (depmod(8)).
 */
export function moduleClosure(dependencies: string, wanted: (path: string) => boolean): readonly string[] {
  const needs = new Map<string, readonly string[]>();
  for (const line of dependencies.split('\n')) {
    const colon = line.indexOf(':');
    if (colon === -1) continue;
    needs.set(
      line.slice(0, colon),
      line
        .slice(colon + 1)
        .split(' ')
        .filter(Boolean),
    );
  }
  const found = new Set<string>();
  const visit = (path: string): void => {
    if (found.has(path)) return;
    found.add(path);
    for (const next of needs.get(path) ?? []) visit(next);
  };
  for (const path of needs.keys()) if (wanted(path)) visit(path);
  return [...found].sort();
}
