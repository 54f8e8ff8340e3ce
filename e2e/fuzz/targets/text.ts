import { isDeepStrictEqual } from 'node:util';
import { parseRange } from '../../../operator/bootregistry/byte-range.ts';
import { LinuxKitConfigError } from '../../../operator/linuxkit/errors.ts';
import { parseLinuxKit } from '../../../operator/linuxkit/parse.ts';
import { planImage } from '../../../operator/linuxkit/plan.ts';
import { OciError } from '../../../operator/oci/errors.ts';
import { formatReference, parseReference } from '../../../operator/oci/reference.ts';
import { parseChallenges } from '../../../operator/oci/registry/challenge.ts';
import { type FuzzTarget, promised } from '../target.ts';

const texts = (...lines: readonly string[]): readonly Buffer[] => lines.map((line) => Buffer.from(line));

/** Image references: what is accepted reads the same when it is written out in full. */
export const referenceTarget: FuzzTarget = {
  name: 'reference',
  corpus: () =>
    texts(
      'alpine',
      'alpine:3.20',
      'a/b/c:tag',
      'localhost/x',
      '127.0.0.1:5000/a__b/c-d.e',
      '[fd00::1]:5000/x',
      `quay.io/x@sha256:${'0'.repeat(64)}`,
    ),
  words: [':', '/', '@', '@sha256:', '__', '..', '[', ']', 'index.docker.io/', ':65535', ':0'],
  expected: (error) => error instanceof OciError && error.code === 'InvalidReference',
  parse(input) {
    const reference = parseReference(input.toString('utf8'));
    const again = parseReference(formatReference(reference));
    promised(isDeepStrictEqual(again, reference), 'written in full it is another one');
    promised(!/[\s?#]|\.\./.test(reference.repository), `the repository ${reference.repository}`);
    return `${reference.registry === 'docker.io'} ${reference.tag !== undefined} ${reference.digest !== undefined}`;
  },
};

/** `WWW-Authenticate`: nothing is an error, some challenges may be found. */
export const challengeTarget: FuzzTarget = {
  name: 'challenge',
  corpus: () =>
    texts(
      'Bearer realm="https://auth.example/token",service="registry",scope="repository:a/b:pull,push"',
      'Basic realm="a \\"b\\""',
      'Negotiate, Basic realm=x, Bearer realm = "y" , error=invalid_token',
    ),
  words: ['Bearer ', 'realm=', '"', '\\', ',', '=', ' \t', '="'],
  expected: () => false,
  parse(input) {
    const challenges = parseChallenges(input.toString('latin1'));
    return challenges
      .map(({ parameters }) => Math.min(parameters.size, 4))
      .slice(0, 6)
      .join();
  },
};

/** `Range`: a range that is served lies inside of what there is. */
export const rangeTarget: FuzzTarget = {
  name: 'range',
  corpus: () => texts('bytes=0-99', 'bytes=5-', 'bytes=-7', 'bytes=0-0,5-9', 'bytes=999-'),
  words: ['bytes=', '-', ',', ' ', '9007199254740993', '-0'],
  expected: () => false,
  parse(input) {
    const size = 100;
    const range = parseRange(input.toString('latin1'), size);
    if (typeof range === 'string') return range;
    const { first, last } = range;
    promised(Number.isInteger(first) && 0 <= first && first <= last && last < size, `${first} to ${last}`);
    return 'range';
  },
};

const YAML = `kernel:
  image: linuxkit/kernel:6.1
  cmdline: "console=ttyS0"
init:
  - linuxkit/init:1
onboot:
  - name: sysctl
    image: linuxkit/sysctl:1
    mounts: [{type: bind, source: /a, destination: /b, options: [rw]}]
services: &s
  - name: web
    image: nginx
    capabilities: [all]
    binds: ["/var/x:/x:ro"]
    env: [A=b]
    resources: {memory: {limit: 1024}}
    runtime: {mkdir: [/var/x]}
    .add: &merged {a: b}
    user: "0"
volumes:
  - {name: data, image: alpine, format: filesystem}
files:
  - path: etc/x
    contents: |
      text
    mode: "0644"
  - {path: /y, symlink: x}
trust:
  org: [linuxkit]
`;

/** LinuxKit YAML, and the plan of what passes. */
export const yamlTarget: FuzzTarget = {
  name: 'yaml',
  corpus: () =>
    texts(
      YAML,
      ...YAML.split(/^(?=[a-z])/m),
      'kernel: {<<: &a {image: x}, cmdline: *a}\n',
      '--- \n"a": !!str b\n...\n',
    ),
  words: [
    '&a ',
    '*a',
    '<<: ',
    '!!int ',
    '!!binary ',
    '- ',
    ': ',
    '\n  ',
    '? ',
    '|\n',
    '>+2\n',
    '{',
    '}',
    '[',
    ']',
    '"',
    "'",
    '# ',
    '%YAML 1.1\n---\n',
    '.inf',
    '0x7f',
    '2001-01-01',
    '../../',
    'contents: ',
    'metadata: yaml',
  ],
  expected: (error) => error instanceof LinuxKitConfigError,
  parse(input) {
    const config = parseLinuxKit(input.toString('utf8'), { source: 'input', allowSource: false });
    const plan = planImage(config);
    for (const { path } of plan.files)
      promised(!path.startsWith('/') && !path.split('/').includes('..'), `the file ${path}`);
    return [plan.init, plan.containers, plan.volumes, plan.files]
      .map(({ length }) => Math.min(length, 4))
      .join();
  },
};
