import { expect, test } from 'vitest';

import { moduleClosure } from './module-closure.ts';

const DEPENDENCIES = `kernel/fs/overlayfs/overlay.ko:
kernel/drivers/net/virtio_net.ko: kernel/drivers/net/net_failover.ko kernel/net/core/failover.ko
kernel/drivers/net/net_failover.ko: kernel/net/core/failover.ko
kernel/net/core/failover.ko:
kernel/sound/pcsp.ko: kernel/sound/core.ko
kernel/sound/core.ko:
`;

test('takes what is wanted and what that needs, nothing else', () => {
  expect(moduleClosure(DEPENDENCIES, (path) => path.includes('virtio_net'))).toEqual([
    'kernel/drivers/net/net_failover.ko',
    'kernel/drivers/net/virtio_net.ko',
    'kernel/net/core/failover.ko',
  ]);
  expect(moduleClosure(DEPENDENCIES, () => false)).toEqual([]);
});
