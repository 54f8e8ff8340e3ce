import { defineConfig } from 'vitest/config';

/**
 * Three lanes. `unit` needs nothing but Node. `integration` talks to real services on
 * this machine (API server, S3, registry, QEMU). `cluster` runs a whole node.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['operator/**/*.test.ts', 'e2e/**/*.test.ts'],
          exclude: ['**/*.integration.test.ts', '**/*.cluster.test.ts', 'node_modules/**'],
          testTimeout: 20_000,
          // What is tested is pure and keeps no state: it need not be loaded anew for each file.
          pool: 'threads',
          isolate: false,
          // Nothing runs beside it: every core, not all but one.
          maxWorkers: '100%',
        },
      },
      {
        test: {
          name: 'integration',
          include: ['operator/**/*.integration.test.ts', 'e2e/**/*.integration.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 600_000,
        },
      },
      {
        test: {
          name: 'cluster',
          include: ['e2e/**/*.cluster.test.ts'],
          globalSetup: ['e2e/path/stack-setup.ts'],
          testTimeout: 300_000,
          hookTimeout: 1_800_000,
          fileParallelism: false,
          sequence: { concurrent: false },
        },
      },
    ],
  },
});
