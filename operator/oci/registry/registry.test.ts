import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseChallenges } from './challenge.ts';
import { CredentialStore } from './credentials.ts';
import { parseDockerConfig } from './docker-config.ts';
import { endpointsOf, isLoopback } from './endpoint.ts';
import { parseRetryAfter, RETRY_POLICY, retryDelay } from './retry.ts';

describe('parseChallenges', () => {
  it.each([
    ['Basic realm="r"', [['basic', { realm: 'r' }]]],
    [
      'Bearer realm="https://a.example/token",service="s",scope="repository:x:pull,push"',
      [['bearer', { realm: 'https://a.example/token', service: 's', scope: 'repository:x:pull,push' }]],
    ],
    [
      'Negotiate, Basic realm=r',
      [
        ['negotiate', {}],
        ['basic', { realm: 'r' }],
      ],
    ],
    [
      'Basic realm="a \\"quoted\\" one" , bearer  Realm = x',
      [
        ['basic', { realm: 'a "quoted" one' }],
        ['bearer', { realm: 'x' }],
      ],
    ],
    ['', []],
    ['"""', []],
  ])('reads %s', (header, expected) => {
    expect(
      parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]),
    ).toEqual(expected);
  });

  it('ends, whatever it is given', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-zA-Z=," \\]{0,80}$/)), (header) => {
        expect(parseChallenges(header).length).toBeLessThanOrEqual(header.length);
      }),
    );
  });
});

function store(auths: Record<string, unknown>): CredentialStore {
  return new CredentialStore([parseDockerConfig(JSON.stringify({ auths }), 'config.json')]);
}

const login = (name: string): { auth: string } => ({
  auth: Buffer.from(`${name}:secret`).toString('base64'),
});

describe('CredentialStore', () => {
  it.each([
    ['quay.io', 'quay.io', 'team/app'],
    ['https://quay.io', 'quay.io', 'team/app'],
    ['quay.io/team', 'quay.io', 'team/app'],
    ['https://index.docker.io/v1/', 'docker.io', 'library/alpine'],
    ['docker.io', 'docker.io', 'library/alpine'],
    ['*.example.com', 'r.example.com', 'a'],
    ['localhost:5000', 'localhost:5000', 'a'],
  ])('takes %s for %s/%s', (key, registry, repository) => {
    expect(store({ [key]: login('me') }).find(registry, repository)).toEqual({
      kind: 'password',
      username: 'me',
      password: 'secret',
    });
  });

  it.each([
    ['quay.io', 'evil-quay.io', 'a'],
    ['quay.io', 'quay.io.example', 'a'],
    ['quay.io/team', 'quay.io', 'teammate/app'],
    ['localhost:5000', 'localhost:5001', 'a'],
    ['*.example.com', 'a.b.example.com', 'a'],
    ['*.example.com', 'example.com', 'a'],
  ])('does not take %s for %s/%s', (key, registry, repository) => {
    expect(store({ [key]: login('me') }).find(registry, repository)).toBeUndefined();
  });

  it('prefers the longest path, whatever the order', () => {
    const credentials = store({
      'q.io': login('all'),
      'q.io/team/app': login('app'),
      'q.io/team': login('team'),
    });
    const userOf = (repository: string) => {
      const found = credentials.find('q.io', repository);
      return found?.kind === 'password' ? found.username : undefined;
    };
    expect(['team/app', 'team/app/x', 'team/application', 'other'].map(userOf)).toEqual([
      'app',
      'app',
      'team',
      'all',
    ]);
  });

  it('reads every form of secret', () => {
    const credentials = store({
      a: { username: 'u', password: 'p:q' },
      b: { auth: Buffer.from('u:p:q').toString('base64') },
      c: { identitytoken: 'refresh', ...login('x') },
      d: { registrytoken: 'bearer' },
      e: {},
    });
    const password = { kind: 'password', username: 'u', password: 'p:q' };
    expect(credentials.find('a', 'x')).toEqual(password);
    expect(credentials.find('b', 'x')).toEqual(password);
    expect(credentials.find('c', 'x')).toEqual({ kind: 'identity-token', token: 'refresh' });
    expect(credentials.find('d', 'x')).toEqual({ kind: 'registry-token', token: 'bearer' });
    expect(credentials.find('e', 'x')).toBeUndefined();
  });

  it('reads a .dockercfg and knows helpers', () => {
    expect(
      new CredentialStore([parseDockerConfig('{"q.io":{"auth":"dTpw"}}', 'x')]).find('q.io', 'a'),
    ).toBeDefined();
    const helped = new CredentialStore([parseDockerConfig('{"credHelpers":{"gcr.io":"gcloud"}}', 'x')]);
    expect([helped.hasHelper('gcr.io'), helped.hasHelper('q.io')]).toEqual([true, false]);
    expect(new CredentialStore([parseDockerConfig('{"credsStore":"desktop"}', 'x')]).hasHelper('q.io')).toBe(
      true,
    );
  });

  it.each([
    '',
    '[]',
    '{"auths":[]}',
    '{"auths":{"a":1}}',
    '{"auths":{"a":{"auth":"c2VjcmV0"}}}',
    '{"auths":{"a":{"username":1}}}',
  ])('refuses %s without repeating it', (text) => {
    expect(() => parseDockerConfig(text, 'pull secret x')).toThrow(
      expect.objectContaining({
        code: 'InvalidCredentials',
        message: expect.stringMatching(/^pull secret x (?!.*secret\W)/),
      }),
    );
  });
});

describe('endpointsOf', () => {
  it.each([
    ['docker.io', 'https://registry-1.docker.io'],
    ['quay.io', 'https://quay.io'],
    ['localhost:5000', 'http://localhost:5000'],
    ['127.0.0.1:15001', 'http://127.0.0.1:15001'],
    ['[::1]:5000', 'http://[::1]:5000'],
    ['10.0.0.1:5000', 'https://10.0.0.1:5000'],
    ['plain.example:80', 'http://plain.example:80'],
    ['plain.example', 'https://plain.example'],
    ['localhost:5001', 'https://localhost:5001'],
  ])('reaches %s at %s', (registry, origin) => {
    const options = {
      insecureRegistries: ['plain.example:80'],
      certificateAuthorities: new Map([['localhost:5001', 'PEM']]),
    };
    expect(endpointsOf({ registry, repository: 'a/b' }, options)).toEqual([
      { name: registry, origin, repository: 'a/b', plain: origin.startsWith('http:') },
    ]);
  });

  it('asks mirrors first', () => {
    const mirrors = new Map([['docker.io', ['localhost:5000', 'https://mirror.example/hub/']]]);
    expect(
      endpointsOf({ registry: 'docker.io', repository: 'a/b' }, { mirrors }).map(({ origin, repository }) => [
        origin,
        repository,
      ]),
    ).toEqual([
      ['http://localhost:5000', 'a/b'],
      ['https://mirror.example', 'hub/a/b'],
      ['https://registry-1.docker.io', 'a/b'],
    ]);
  });

  it.each(['127.0.0.1.example.com', 'localhost.example', '128.0.0.1', '127.1', 'xlocalhost', '[::2]'])(
    'does not take %s for loopback',
    (host) => {
      expect(isLoopback(host)).toBe(false);
    },
  );
});

describe('retryDelay', () => {
  it('grows, stays within bounds, and ends', () => {
    const delays = [1, 2, 3, 4, 5].map((attempt) => retryDelay(attempt, undefined, RETRY_POLICY, () => 1));
    expect(delays).toEqual([250, 500, 1000, 2000, undefined]);
    expect(retryDelay(1, undefined, RETRY_POLICY, () => 0)).toBe(125);
    expect(retryDelay(20, undefined, { ...RETRY_POLICY, attempts: 99 }, () => 1)).toBe(8000);
  });

  it('does as the server says, up to a point', () => {
    expect(retryDelay(1, 3000, RETRY_POLICY, () => 1)).toBe(3000);
    expect(retryDelay(1, 61_000, RETRY_POLICY, () => 1)).toBeUndefined();
  });

  it.each([
    ['3', 3000],
    ['Tue, 24 Nov 2026 17:00:05 GMT', 5000],
    ['Tue, 24 Nov 2020 17:00:05 GMT', 0],
    ['soon', undefined],
    [undefined, undefined],
  ])('reads Retry-After: %s', (header, expected) => {
    expect(parseRetryAfter(header, Date.parse('2026-11-24T17:00:00Z'))).toBe(expected);
  });
});
