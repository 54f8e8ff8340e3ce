import type { InstanceSpec, Probe } from '../api/instance-spec.ts';

/** Where the launcher tells how its machine fares (`images/guest/qemu-launcher/control.go`); none that a guest's service has. */
export const CONTROL_PORT = 65_399;

/**
 * The probes of the pod. HTTP goes to the guest as it is. A TCP connection would succeed as soon as
 * QEMU runs, so the launcher is asked whether the guest accepts one. Of a guest without agent,
 * `exec` and `guestAgentPing` always fail.
 */
export function podProbes(spec: InstanceSpec): { readinessProbe?: object; livenessProbe?: object } {
  const { readinessProbe, livenessProbe } = spec;
  return {
    ...(readinessProbe === undefined ? {} : { readinessProbe: podProbe(readinessProbe) }),
    ...(livenessProbe === undefined ? {} : { livenessProbe: podProbe(livenessProbe) }),
  };
}

function podProbe(probe: Probe): object {
  const { exec: _exec, guestAgentPing: _ping, tcpSocket, httpGet, ...timing } = probe;
  if (httpGet !== undefined) return { ...timing, httpGet };
  if (tcpSocket !== undefined)
    return { ...timing, httpGet: { path: `/tcp/${tcpSocket.port}`, port: CONTROL_PORT } };
  return { ...timing, exec: { command: ['/bin/busybox', 'false'] } };
}
