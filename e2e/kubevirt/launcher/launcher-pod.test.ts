import { describe, expect, it } from 'vitest';
import type { InstanceSpec } from '../api/instance-spec.ts';
import { SAMPLE_IMAGE, sampleInstance } from '../sample.ts';
import type { LaunchPlan } from './launch-plan.ts';
import { launcherPod } from './launcher-pod.ts';

interface Container {
  readonly name: string;
  readonly image?: string;
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly resources?: { readonly requests: object };
  readonly readinessProbe?: object;
}

function pod(change: (spec: InstanceSpec) => void = () => undefined) {
  return launcherPod(
    sampleInstance({}, ({ spec }) => change(spec)),
    { launcherImage: 'launcher', claims: new Map() },
  );
}

function containers(made: ReturnType<typeof pod>, kind: 'containers' | 'initContainers' = 'containers') {
  return made.spec[kind] as readonly Container[];
}

function plan(made: ReturnType<typeof pod>): LaunchPlan {
  const value = containers(made)[0]?.env?.[0]?.value ?? '';
  // What Kubernetes makes of it.
  return JSON.parse(value.replaceAll('$$(', '$(')) as LaunchPlan;
}

describe('the pod', () => {
  it('has the containers of KubeVirt with image volumes', () => {
    const made = pod();
    expect(containers(made, 'initContainers').map(({ name, image }) => [name, image])).toEqual([
      ['guest-console-log', 'launcher'],
      ['volumekernel-boot-volume', SAMPLE_IMAGE],
    ]);
    expect(containers(made).map(({ name }) => name)).toEqual(['compute']);
    expect(made.spec['volumes']).toContainEqual({
      name: 'kernel-boot-volume',
      image: { reference: SAMPLE_IMAGE },
    });
    expect(made.metadata.annotations).toMatchObject({
      'kubevirt.io/vm-generation': '3',
      'kubevirt.io/domain': 'vm',
    });
    expect(made.metadata.labels).toMatchObject({
      'kubevirt.io': 'virt-launcher',
      'kubevirt.io/created-by': 'i1-0123456789',
    });
  });

  it('needs no more than the baseline of Pod Security, and lacks only seccomp for more', () => {
    for (const container of [...containers(pod()), ...containers(pod(), 'initContainers')])
      expect(container).toMatchObject({
        securityContext: {
          runAsUser: 107,
          runAsNonRoot: true,
          allowPrivilegeEscalation: false,
          capabilities: { drop: ['ALL'] },
        },
      });
    expect(JSON.stringify(pod())).not.toContain('seccomp');
  });

  it('lives longer than the guest’s grace period, negative ones included', () => {
    expect(pod().spec['terminationGracePeriodSeconds']).toBe(45);
    const negative = pod((spec) => Object.assign(spec, { terminationGracePeriodSeconds: -5 }));
    expect(negative.spec['terminationGracePeriodSeconds']).toBe(15);
    expect(plan(negative).graceSeconds).toBe(0);
  });

  it('asks for the guest’s memory and KubeVirt’s overhead', () => {
    expect(containers(pod())[0]?.resources?.requests).toEqual({ memory: '524Mi', cpu: '100m' });
  });

  it('passes pull policy and secret on', () => {
    const made = pod(({ domain }) =>
      Object.assign(domain.firmware?.kernelBoot?.container ?? {}, {
        imagePullPolicy: 'Never',
        imagePullSecret: 's',
      }),
    );
    expect(made.spec['imagePullSecrets']).toEqual([{ name: 's' }]);
    expect(JSON.stringify(made.spec['volumes'])).toContain('"pullPolicy":"Never"');
  });

  it('keeps no console where none is wanted', () => {
    const made = pod(({ domain }) => Object.assign(domain.devices, { logSerialConsole: false }));
    expect(containers(made, 'initContainers').map(({ name }) => name)).toEqual(['volumekernel-boot-volume']);
  });
});

describe('probes', () => {
  it.each([
    [
      { httpGet: { port: 80, path: '/x' }, periodSeconds: 1 },
      { httpGet: { port: 80, path: '/x' }, periodSeconds: 1 },
    ],
    [
      { tcpSocket: { port: 80 }, failureThreshold: 9 },
      { httpGet: { port: 65_399, path: '/tcp/80' }, failureThreshold: 9 },
    ],
    [
      { guestAgentPing: {}, periodSeconds: 1 },
      { exec: { command: ['/bin/busybox', 'false'] }, periodSeconds: 1 },
    ],
  ])('%j', (readinessProbe, expected) => {
    expect(containers(pod((spec) => Object.assign(spec, { readinessProbe })))[0]?.readinessProbe).toEqual(
      expected,
    );
  });
});

describe('the plan', () => {
  it('boots exactly the files of the image, with the arguments as they are', () => {
    const kernelArgs = 'console=ttyS0 a="b c" <x> $(HOME) ü\nend';
    const {
      kernel,
      initrd,
      arguments: line,
    } = plan(pod(({ domain }) => Object.assign(domain.firmware?.kernelBoot ?? {}, { kernelArgs })));
    expect([kernel, initrd]).toEqual([
      '/var/run/kubevirt-kernel-boot/boot/kernel',
      '/var/run/kubevirt-kernel-boot/boot/initrd.img',
    ]);
    expect(line[line.indexOf('-append') + 1]).toBe(kernelArgs);
    expect(line[line.indexOf('-m') + 1]).toBe('256M');
  });

  it('takes files of one base name for one file', () => {
    const same = plan(
      pod(({ domain }) =>
        Object.assign(domain.firmware?.kernelBoot?.container ?? {}, {
          kernelPath: '/a/x',
          initrdPath: '/b/x',
        }),
      ),
    );
    expect(same.initrd).toBe(same.kernel);
  });

  it('multiplies processors', () => {
    const { arguments: line } = plan(
      pod(({ domain }) => Object.assign(domain, { cpu: { cores: 2, sockets: 2, threads: 1 } })),
    );
    expect(line[line.indexOf('-smp') + 1]).toBe('4,sockets=2,cores=2,threads=1');
  });

  it.each([
    [undefined, 'max'],
    ['host-model', 'max'],
    ['host-passthrough', 'max'],
    ['qemu64', 'qemu64'],
  ])('shows of the processor model %s what emulation has: %s', (model, expected) => {
    const { arguments: line } = plan(
      pod(({ domain }) => Object.assign(domain, model === undefined ? {} : { cpu: { model } })),
    );
    expect(line[line.indexOf('-cpu') + 1]).toBe(expected);
  });

  it('lets a reboot be the end under that policy', () => {
    expect(plan(pod()).arguments).not.toContain('-no-reboot');
    expect(
      plan(pod(({ domain }) => Object.assign(domain, { rebootPolicy: 'Terminate' }))).arguments,
    ).toContain('-no-reboot');
  });
});
