/**
 * The script that is process 1 of a node. It runs in new pid, mount, network, uts and
 * ipc namespaces, gives them what a node needs to find, and then only collects the
 * processes that others leave behind. When it is killed, the kernel kills every process
 * of the node, and mounts, interfaces and firewall rules go with their namespaces.
 */
export function nodeInitScript(folder: string, hostname: string): string {
  const dir = shellQuote(folder);
  return `set -eu
dir=${dir}

# Containers with mount propagation need a shared root; it is shared within this namespace alone.
mount --make-rshared /

# A fresh /run and a copy-on-write /var: nothing of the machine's own kubelet, CNI or
# containerd is seen or changed. The folder may lie below either, so it is put back.
mount --bind "$dir" /mnt
mount -t overlay overlay -o "lowerdir=/var,upperdir=/mnt/var/upper,workdir=/mnt/var/work" /var
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p "$dir"
mount --bind /mnt "$dir"
umount /mnt
mkdir -p /var/lib/kubelet /run/lock
mount --bind "$dir/kubelet" /var/lib/kubelet

# The kubelet insists on these kernel settings and writes what differs, for the whole
# machine. It finds them as it wants them and changes nothing.
${kernelSettings
  .map(
    ([path, value]) =>
      `echo ${value} >"$dir/etc/${path.replaceAll('/', '.')}" && mount --bind "$dir/etc/${path.replaceAll('/', '.')}" /proc/sys/${path}`,
  )
  .join('\n')}

hostname ${shellQuote(hostname)}
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
# Answers of one pod to another come back over the bridge: they must pass the rules that rewrote the way there.
echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables

echo ready >"$dir/ready"
while :; do
  sleep 86400 &
  wait $! || true
done
`;
}

/** What the kubelet sets where it differs: see its container manager's kernel tunables. */
const kernelSettings = [
  ['vm/overcommit_memory', '1'],
  ['vm/panic_on_oom', '0'],
  ['kernel/panic', '10'],
  ['kernel/panic_on_oops', '1'],
  ['kernel/keys/root_maxkeys', '1000000'],
  ['kernel/keys/root_maxbytes', '25000000'],
] as const;

/** A word for sh(1), whatever it holds. */
export function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
