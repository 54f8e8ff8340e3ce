import { describe, expect, test } from 'vitest';
import type { Artifact } from '../api/image.ts';
import { leastMemory } from './guest-memory.ts';
import { metadataJson } from './guest-metadata.ts';
import { kernelArguments } from './kernel-args.ts';
import { renderProblems } from './problems.ts';
import { bootReferenceProblem, digestOf } from './reference.ts';
import { bootReference } from './render.ts';
import { FULL_SPEC, sampleArtifact, sampleDigest, sampleMachine } from './sample.ts';

const options = { bootRegistryHost: '127.0.0.1:30500' };

test('nothing is wrong with the smallest and the largest machine', () => {
  expect(renderProblems(sampleMachine(), sampleArtifact(), options)).toEqual([]);
  expect(renderProblems(sampleMachine(FULL_SPEC), sampleArtifact(), options)).toEqual([]);
});

describe('refused with field and reason', () => {
  const long = sampleArtifact();
  test.each([
    [
      'a command line that is too long with the image’s own part',
      { kernelArgs: 'a'.repeat(2040) },
      /^spec\.kernelArgs: .* 2054 bytes .* at most 2047$/,
    ],
    [
      'one that is too long once EFI firmware has added to it',
      {
        kernelArgs: 'a'.repeat(2047 - 'console=ttyS0 '.length),
        template: { spec: { domain: { firmware: { bootloader: { efi: { secureBoot: false } } } } } },
      },
      /^spec\.kernelArgs: .* 2061 bytes .* the firmware's initrd=initrd; .* at most 2047$/,
    ],
    [
      'too little memory for the image',
      { memory: '100Mi' },
      /^spec\.memory: 100Mi cannot hold this image: .* at least 156Mi$/,
    ],
    [
      'a file below a file',
      {
        metadata: {
          files: [
            { path: 'a', content: '' },
            { path: 'a/b', content: '' },
          ],
        },
      },
      /a cannot be a file and hold a\/b/,
    ],
    [
      'a file twice',
      {
        metadata: {
          files: [
            { path: 'a', content: '' },
            { path: '/a', content: '' },
          ],
        },
      },
      /a is given twice/,
    ],
    [
      'the host name twice',
      { metadata: { files: [{ path: 'hostname', content: 'x' }] } },
      /hostname is written by/,
    ],
    [
      'more metadata than fits',
      {
        metadata: {
          files: Array.from({ length: 20 }, (_, i) => ({ path: `f${i}`, content: 'x'.repeat(65_536) })),
        },
      },
      /at most 1000000 fit/,
    ],
    [
      'another kernel',
      { template: { spec: { domain: { firmware: { kernelBoot: { container: { image: 'x' } } } } } } },
      /^spec\.template\.spec\.domain\.firmware\.kernelBoot: is set by the machine itself/,
    ],
    [
      'another pull secret for the kernel',
      {
        template: { spec: { domain: { firmware: { kernelBoot: { container: { imagePullSecret: 'x' } } } } } },
      },
      /kernelBoot: is set by the machine itself/,
    ],
    [
      'another amount of memory',
      { template: { spec: { domain: { memory: { guest: '1Gi' } } } } },
      /domain\.memory\.guest: is set by the machine itself/,
    ],
    ['another architecture', { template: { spec: { architecture: 'arm64' } } }, /spec\.architecture: is set/],
    [
      'a field that the machine has itself',
      { template: { spec: { terminationGracePeriodSeconds: 99 } } },
      /terminationGracePeriodSeconds: is set by the machine itself/,
    ],
    [
      'a member of a list that the machine has itself',
      {
        disks: [{ name: 'a', emptyDisk: { capacity: '1Gi' } }],
        template: { spec: { domain: { devices: { disks: [{ name: 'a', disk: { bus: 'sata' } }] } } } },
      },
      /disks\[a\]\.disk\.bus: is set/,
    ],
    [
      'a label of ours',
      { template: { metadata: { labels: { 'linuxkit.dev/machine': 'other' } } } },
      /labels: linuxkit\.dev\/machine belongs to/,
    ],
    [
      'an annotation of KubeVirt',
      { template: { metadata: { annotations: { 'kubevirt.io/vm-generation': '1' } } } },
      /annotations: kubevirt\.io\/vm-generation belongs to/,
    ],
  ])('%s', (_title, spec, message) => {
    const problems = renderProblems(sampleMachine(spec), long, options);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.message).toMatch(message);
  });

  test('an instance type that gives too little memory for the image', () => {
    const machine = sampleMachine({ memory: undefined, instancetype: { name: 'small' } });
    expect(renderProblems(machine, long, options, '1Gi')).toEqual([]);
    expect(renderProblems(machine, long, options)).toEqual([]);
    expect(renderProblems(machine, long, options, '100Mi')).toEqual([
      {
        reason: 'InvalidMachine',
        message: expect.stringMatching(/^spec\.instancetype: small: 100Mi cannot hold this image/),
      },
    ]);
  });

  test('a registry host that makes no reference', () => {
    expect(
      renderProblems(sampleMachine(), sampleArtifact(), { bootRegistryHost: 'bad host' })[0]?.message,
    ).toMatch(/bad host is not a host/);
  });
});

test('without boot registries only what was pushed somewhere boots', () => {
  expect(renderProblems(sampleMachine(), sampleArtifact(), {})).toEqual([
    {
      reason: 'InvalidMachine',
      message: expect.stringMatching(/^spec\.bootImage of the image: there are no boot registries here/),
    },
  ]);
  const repository = 'registry.example/team/boot';
  const { digest } = sampleArtifact().bootImage;
  const pushed = sampleArtifact({ bootImage: { reference: `${repository}@${digest}`, digest, repository } });
  expect(renderProblems(sampleMachine(), pushed, {})).toEqual([]);
  expect(bootReference(pushed, {})).toBe(`${repository}@${digest}`);
});

describe('the kernel command line', () => {
  const text = (
    cmdline: string,
    appended: string | undefined,
    architecture: Artifact['architecture'],
  ): string =>
    kernelArguments(
      sampleArtifact({ architecture, cmdline: { ...sampleArtifact().cmdline, text: cmdline } }),
      appended,
    );

  test.each([
    ['console=tty0 ro\n', undefined, 'console=tty0 ro'],
    ['ro', undefined, 'ro console=ttyS0'],
    ['', undefined, 'console=ttyS0'],
    ['ro', 'console=hvc0 quiet', 'ro console=hvc0 quiet'],
    ['ro -- single', 'quiet', 'ro quiet console=ttyS0 -- single'],
    ['netconsole=x', undefined, 'netconsole=x console=ttyS0'],
    ['console=ttyS1,115200', undefined, 'console=ttyS1,115200'],
    ['console=ttyAMA0', undefined, 'console=ttyAMA0 console=ttyS0'],
  ])('%j with %j is %j', (cmdline, appended, expected) => {
    expect(text(cmdline, appended, 'amd64')).toBe(expected);
  });

  test.each([
    ['ro', undefined, 'ro console=ttyAMA0'],
    ['console=tty0 console=ttyS0', undefined, 'console=tty0 console=ttyS0 console=ttyAMA0'],
    ['console=ttyS0', 'console=ttyAMA0,115200', 'console=ttyS0 console=ttyAMA0,115200'],
    ['console=hvc0', undefined, 'console=hvc0'],
  ])('on arm64, %j with %j is %j', (cmdline, appended, expected) => {
    expect(text(cmdline, appended, 'arm64')).toBe(expected);
  });

  test('2,047 bytes are the last that boot', () => {
    const problems = (length: number): number =>
      renderProblems(
        sampleMachine({ kernelArgs: 'a'.repeat(length - 'console=ttyS0 '.length) }),
        sampleArtifact(),
        options,
      ).length;
    expect(problems(2047)).toBe(0);
    expect(problems(2048)).toBe(1);
  });
});

test('the least memory lets pass what was seen to boot, and refuses what was seen to be silent', () => {
  const seen = sampleArtifact({
    kernel: { ...sampleArtifact().kernel, size: 14_000_000 },
    initrd: { ...sampleArtifact().initrd, size: 1_500_000, uncompressedSize: 4_000_000 },
  });
  expect(leastMemory(seen)).toBeGreaterThan(64 * 2 ** 20);
  expect(leastMemory(seen)).toBeLessThan(96 * 2 ** 20);
});

describe('boot references', () => {
  const digest = sampleDigest('a');
  test.each([
    `127.0.0.1:30500/default/web@${digest}`,
    `registry.example/a/b_c.d--e@${digest}`,
    `[::1]:5000/a@${digest}`,
  ])('%s is one', (reference) => {
    expect(bootReferenceProblem(reference)).toBeUndefined();
  });

  test.each([
    `127.0.0.1:30500/default/web:tag`,
    `127.0.0.1:30500/Default/web@${digest}`,
    `web@${digest}`,
    `127.0.0.1:30500/a//b@${digest}`,
    `127.0.0.1:30500/a@sha256:abc`,
    `host name/a@${digest}`,
    `127.0.0.1:30500/${'a'.repeat(256)}@${digest}`,
  ])('%s is none', (reference) => {
    expect(bootReferenceProblem(reference)).toBeDefined();
  });

  test('only what follows the @ is compared', () => {
    expect(digestOf(`default/other@${digest}`)).toBe(digest);
    expect(digestOf('default/other:tag')).toBeUndefined();
    expect(digestOf(undefined)).toBeUndefined();
  });
});

test('metadata is the JSON that LinuxKit reads', () => {
  expect(JSON.parse(metadataJson(sampleMachine(FULL_SPEC), 2) ?? '')).toEqual({
    hostname: { perm: '0644', content: 'front-2' },
    ssh: { entries: { authorized_keys: { perm: '0600', content: 'ssh-ed25519 AAAA me\n' } } },
    app: { entries: { a: { perm: '0644', content: 'x' } } },
  });
  const odd = metadataJson(
    sampleMachine({ metadata: { files: [{ path: '__proto__/a', content: 'x' }] } }),
    0,
  );
  expect(odd).toContain('"__proto__"');
  expect(metadataJson(sampleMachine(), 0)).toBeUndefined();
});
