import { expect, test } from 'vitest';
import { auditEvents, rightsOf, rightsUsed } from './rights.ts';

test('rules give every verb on every resource of every group', () => {
  const rules = [
    { apiGroups: ['', 'x'], resources: ['a', 'b/status'], verbs: ['get', 'list'] },
    { apiGroups: [''], resources: ['secrets'], verbs: ['get'], resourceNames: ['one'] },
  ];
  expect([...rightsOf(rules)]).toEqual([
    'get a',
    'list a',
    'get b/status',
    'list b/status',
    'get a.x',
    'list a.x',
    'get b/status.x',
    'list b/status.x',
    'get secrets',
  ]);
});

test.each([
  [{ verb: 'get', objectRef: { resource: 'pods' } }, ['get pods']],
  [{ verb: 'get', objectRef: { resource: 'pods', subresource: 'log' } }, ['get pods/log']],
  [{ verb: 'patch', objectRef: { resource: 'vms', apiGroup: 'k' }, code: 200 }, ['patch vms.k']],
  [
    { verb: 'patch', objectRef: { resource: 'vms', apiGroup: 'k' }, code: 201 },
    ['patch vms.k', 'create vms.k'],
  ],
  [{ verb: 'get' }, []],
])(
  '%j needs %j',
  ({ verb, objectRef, code }: { verb: string; objectRef?: object; code?: number }, needed) => {
    const event = { verb, user: { username: 'u' }, ...(objectRef === undefined ? {} : { objectRef }) };
    expect(rightsUsed({ ...event, ...(code === undefined ? {} : { responseStatus: { code } }) })).toEqual(
      needed,
    );
  },
);

test('a line that is being written is no event yet', () => {
  const log = '{"verb":"get","user":{"username":"u"}}\n{"verb":"li';
  expect(auditEvents(log)).toEqual([{ verb: 'get', user: { username: 'u' } }]);
});
