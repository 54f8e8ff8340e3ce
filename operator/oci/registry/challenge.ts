/** One challenge of a `WWW-Authenticate` header (RFC 9110, section 11.6.1), scheme and parameter names in lower case. */
export interface Challenge {
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** Longer headers are not read: no registry's challenge comes near it. */
const MAX_HEADER_LENGTH = 8192;

/** token, then OWS "=" OWS, then token or quoted-string. */
const PARAMETER = /^([!#$%&'*+.^_`|~\w-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))/;
const SCHEME = /^([!#$%&'*+.^_`|~\w-]+)(?:[ \t]+|(?=,)|$)/;

/** Reads what can be read; a header that is no challenge gives none. */
export function parseChallenges(header: string): readonly Challenge[] {
  const challenges: { readonly scheme: string; readonly parameters: Map<string, string> }[] = [];
  let rest = header.slice(0, MAX_HEADER_LENGTH);
  while (rest !== '') {
    rest = rest.replace(/^[\s,]+/, '');
    const parameter = PARAMETER.exec(rest);
    const current = challenges.at(-1);
    if (parameter !== null && current !== undefined) {
      const [whole, name = '', quoted, plain = ''] = parameter;
      current.parameters.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? plain);
      rest = rest.slice(whole.length);
      continue;
    }
    const scheme = SCHEME.exec(rest);
    if (scheme === null) break;
    const [whole, name = ''] = scheme;
    challenges.push({ scheme: name.toLowerCase(), parameters: new Map() });
    rest = rest.slice(whole.length);
  }
  return challenges;
}
