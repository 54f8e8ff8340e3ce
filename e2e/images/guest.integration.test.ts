import { join } from 'node:path';
import { expect, test } from 'vitest';

import { run } from '../process/run.ts';

const folder = join(import.meta.dirname, 'guest');
const options = { cwd: folder, env: { GOTOOLCHAIN: 'local', GOFLAGS: '' }, timeout: 300_000 };

test("the guest's programs pass their own tests and checks", async ({ signal }) => {
  await run('go', ['vet', './...'], { ...options, signal });
  const report = await run('go', ['test', '-count=1', './...'], { ...options, signal });
  expect(report).toMatch(/^ok\s+linuxkit-operator\/guest\/service/m);
  expect(report).toMatch(/^ok\s+linuxkit-operator\/guest\/metadata/m);
  expect(report).toMatch(/^ok\s+linuxkit-operator\/guest\/qemu-launcher/m);
  expect(await run('gofmt', ['-l', '.'], { ...options, signal })).toBe('');
}, 300_000);
