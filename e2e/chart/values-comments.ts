/** A value of the chart and what its comment says. */
export interface DescribedValue {
  /** Keys from the top, with dots between. */
  readonly path: string;
  readonly description: string;
}

/**
 * The descriptions in a values.yaml, in their order: `# path.of.value -- text` above the value, going on
 * in further comment lines. Throws an Error that names the line for a comment above another value than
 * it names, for a value with two, and for a leaf without one. Flow style counts as a leaf.
 */
export function describedValues(text: string): readonly DescribedValue[] {
  const found: DescribedValue[] = [];
  const problems: string[] = [];
  const folders: { readonly indent: number; readonly path: string }[] = [];
  let pending: DescribedValue | undefined;
  let covered: number | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const where = `line ${index + 1}`;
    const comment = /^ *# (?:(\S+) -- )?(.*)$/.exec(line);
    if (comment !== null) {
      const [, path, words = ''] = comment;
      if (path !== undefined) pending = { path, description: words };
      else if (pending !== undefined)
        pending = { ...pending, description: `${pending.description} ${words}` };
      continue;
    }
    const entry = /^( *)([A-Za-z][A-Za-z0-9]*):(.*)$/.exec(line);
    if (entry === null) continue;
    const [, spaces = '', key = '', rest = ''] = entry;
    const indent = spaces.length;
    if (covered !== undefined && indent > covered) continue;
    covered = undefined;
    while ((folders.at(-1)?.indent ?? -1) >= indent) folders.pop();
    const parent = folders.at(-1);
    const path = parent === undefined ? key : `${parent.path}.${key}`;
    if (pending !== undefined) {
      if (pending.path !== path) problems.push(`${where}: ${path} has the comment of ${pending.path}`);
      if (found.some((value) => value.path === path)) problems.push(`${where}: ${path} is described twice`);
      found.push(pending);
      pending = undefined;
      // What lies below a described value is its default, not a value of its own.
      covered = indent;
    } else if (rest.trim() === '') folders.push({ indent, path });
    else problems.push(`${where}: ${path} has no comment`);
  }
  if (problems.length > 0) throw new Error(`values.yaml:\n  ${problems.join('\n  ')}`);
  return found;
}
