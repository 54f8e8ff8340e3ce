/** Linux capabilities, by number (capabilities(7), linux/capability.h). */
const CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_LINUX_IMMUTABLE',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_BROADCAST',
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_SYS_MODULE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE',
  'CAP_SYS_PACCT',
  'CAP_SYS_ADMIN',
  'CAP_SYS_BOOT',
  'CAP_SYS_NICE',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME',
  'CAP_SYS_TTY_CONFIG',
  'CAP_MKNOD',
  'CAP_LEASE',
  'CAP_AUDIT_WRITE',
  'CAP_AUDIT_CONTROL',
  'CAP_SETFCAP',
  'CAP_MAC_OVERRIDE',
  'CAP_MAC_ADMIN',
  'CAP_SYSLOG',
  'CAP_WAKE_ALARM',
  'CAP_BLOCK_SUSPEND',
  'CAP_AUDIT_READ',
  'CAP_PERFMON',
  'CAP_BPF',
  'CAP_CHECKPOINT_RESTORE',
] as const;

/** What a list of capabilities may hold: names, and the two words that stand for every one and for none. */
export const CAPABILITY_SPELLINGS = [...CAPABILITIES, 'all', 'ALL', 'All', 'none', 'NONE', 'None'] as const;

export type CapabilitySpelling = (typeof CAPABILITY_SPELLINGS)[number];

/** The five sets of a process (OCI runtime-spec, config.md, "Linux Process"). */
export interface CapabilitySets {
  readonly bounding: readonly string[];
  readonly effective: readonly string[];
  readonly inheritable: readonly string[];
  readonly permitted: readonly string[];
  readonly ambient: readonly string[];
}

/**
 * `all` stands for every capability wherever it stands. `none` stands for nothing, which
 * lets a configuration add to an image whose label says so.
 */
export function expandCapabilities(list: readonly CapabilitySpelling[]): readonly string[] {
  const words = list.map((name) => name.toLowerCase());
  if (words.includes('all')) return CAPABILITIES;
  return list.filter((_, index) => words[index] !== 'none');
}

export function capabilitySets(
  capabilities: readonly CapabilitySpelling[],
  ambient: readonly CapabilitySpelling[],
): CapabilitySets {
  const effective = expandCapabilities(capabilities);
  const raised = expandCapabilities(ambient);
  const bounding = [...new Set([...effective, ...raised])].toSorted();
  return { bounding, effective, inheritable: bounding, permitted: bounding, ambient: raised };
}
