import { access } from 'node:fs/promises';
import { run } from '../process/run.ts';
import { Failure } from '../progress/failure.ts';

const modules = ['overlay', 'veth', 'bridge', 'br_netfilter', 'nf_conntrack', 'nf_tables', 'nft_compat'];
const needed = {
  '/proc/sys/net/bridge/bridge-nf-call-iptables': 'br_netfilter',
  '/proc/sys/net/netfilter/nf_conntrack_max': 'nf_conntrack',
} as const;

/**
 * Loads the kernel modules that a node needs and cannot load from its own namespaces.
 * @throws Failure `ToolMissing` naming what this kernel lacks.
 */
export async function ensureKernelFeatures(signal: AbortSignal): Promise<void> {
  for (const each of modules) {
    // Built-in ones have no module, and are found below or by whoever needs them.
    await run('modprobe', ['--quiet', each], { signal }).catch(() => undefined);
  }
  for (const [path, module] of Object.entries(needed)) {
    await access(path).catch((cause: unknown) => {
      throw new Failure('ToolMissing', `this kernel has no ${module}, which pod networking needs`, {
        cause,
        advice: `load the module ${module}, or use a kernel that has it`,
      });
    });
  }
}
