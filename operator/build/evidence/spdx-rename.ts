import type { SpdxElement, SpdxFragment } from './spdx-fragment.ts';

/**
 * Gives everything in a fragment an id of its own, so that fragments of several documents fit into
 * one: `SPDXRef-x` becomes `SPDXRef-<prefix>-x`, `LicenseRef-x` becomes `LicenseRef-<prefix>-x`.
 */
export function renamed(fragment: SpdxFragment, prefix: string): SpdxFragment {
  const elements = new Names(`SPDXRef-${prefix}-`, /^SPDXRef-/);
  for (const { SPDXID } of [...fragment.packages, ...fragment.files]) elements.add(SPDXID);
  const licenses = new Names(`LicenseRef-${prefix}-`, /^LicenseRef-/);
  for (const { licenseId } of fragment.licenses) licenses.add(licenseId);

  const element = <T extends SpdxElement & { readonly SPDXID: string }>(old: T): T => ({
    ...mapFields(old, elements, licenses),
    SPDXID: elements.of(old.SPDXID),
  });
  return {
    packages: fragment.packages.map(element),
    files: fragment.files.map((file) => ({ ...element(file), ...relativeName(file) })),
    licenses: fragment.licenses.map((old) => ({ ...old, licenseId: licenses.of(old.licenseId) })),
    relationships: fragment.relationships.map((old) => ({
      ...old,
      spdxElementId: elements.of(old.spdxElementId),
      relatedSpdxElement: elements.of(old.relatedSpdxElement),
    })),
    described: fragment.described.map((id) => elements.of(id)),
  };
}

/** Scanners write paths from the image's root with a slash, SPDX wants them relative (section 8.1). */
function relativeName({ fileName }: SpdxElement): { readonly fileName?: string } {
  return typeof fileName === 'string' && fileName.startsWith('/') ? { fileName: `.${fileName}` } : {};
}

/** Fields that name elements or licences (SPDX 2.3, JSON schema). */
const ELEMENT_LISTS = ['hasFiles', 'fileDependencies'] as const;
const LICENSE_FIELDS = ['licenseConcluded', 'licenseDeclared'] as const;
const LICENSE_LISTS = ['licenseInfoFromFiles', 'licenseInfoInFiles'] as const;

function mapFields<T extends SpdxElement>(old: T, elements: Names, licenses: Names): T {
  const changed: Record<string, unknown> = {};
  for (const field of ELEMENT_LISTS) {
    const ids = old[field];
    // An id that leads nowhere would make the document invalid.
    if (Array.isArray(ids)) {
      changed[field] = ids.flatMap((id: unknown) =>
        typeof id === 'string' && elements.has(id) ? [elements.of(id)] : [],
      );
    }
  }
  for (const field of LICENSE_FIELDS) {
    const expression = old[field];
    if (typeof expression === 'string') changed[field] = licenses.inside(expression);
  }
  for (const field of LICENSE_LISTS) {
    const expressions = old[field];
    if (Array.isArray(expressions)) {
      changed[field] = expressions.map((expression: unknown) =>
        typeof expression === 'string' ? licenses.inside(expression) : expression,
      );
    }
  }
  return { ...old, ...changed };
}

/** New names for old ones, of the characters that SPDX allows in them, no two alike. */
class Names {
  readonly #prefix: string;
  readonly #usual: RegExp;
  readonly #names = new Map<string, string>();
  readonly #taken = new Set<string>();
  /** By name, the number to try next: a document of many names that are alike costs no more than others. */
  readonly #next = new Map<string, number>();

  constructor(prefix: string, usual: RegExp) {
    this.#prefix = prefix;
    this.#usual = usual;
  }

  add(old: string): void {
    if (this.#names.has(old)) return;
    const plain = `${this.#prefix}${old.replace(this.#usual, '').replace(/[^A-Za-z0-9.-]/g, '-')}`;
    let name = plain;
    let count = this.#next.get(plain) ?? 2;
    for (; this.#taken.has(name); count += 1) name = `${plain}-${count}`;
    this.#next.set(plain, count);
    this.#taken.add(name);
    this.#names.set(old, name);
  }

  has(old: string): boolean {
    return this.#names.has(old);
  }

  /** The new name; what has none stays as it is: NONE, NOASSERTION. */
  of(old: string): string {
    return this.#names.get(old) ?? old;
  }

  /** A licence expression with the names in it replaced. */
  inside(expression: string): string {
    return expression.replace(/LicenseRef-[A-Za-z0-9.-]+/g, (name) => this.of(name));
  }
}
