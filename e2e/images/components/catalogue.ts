import type { Component } from '../component.ts';
import { acpid, busybox, caCertificates, dhcpcd, format, hello, httpd, mount, sysctl } from './containers.ts';
import { docker } from './docker.ts';
import { init } from './init.ts';
import { kernel } from './kernel.ts';
import { metadata } from './metadata.ts';
import { qemuLauncher } from './qemu-launcher.ts';
import { containerd, runc } from './runtimes.ts';

/** Every component image that examples and tests name. */
export const COMPONENTS: readonly Component[] = [
  kernel,
  init,
  runc,
  containerd,
  caCertificates,
  busybox,
  hello,
  httpd,
  dhcpcd,
  metadata,
  sysctl,
  format,
  mount,
  acpid,
  docker,
  qemuLauncher,
];
