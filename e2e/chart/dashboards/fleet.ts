import type { Dashboard } from './dashboard.ts';

const M = 'job="$job", namespace="$namespace"';
const N = 'namespace="$namespace"';

/** For whoever runs machines: what state they are in, what they boot, and whether nodes can boot them. */
export const FLEET: Dashboard = {
  uid: 'linuxkit-fleet',
  title: 'LinuxKit / Fleet',
  description:
    'Virtual machines that boot LinuxKit images, their rollouts, and the boot registries of the nodes.',
  rows: [
    {
      title: 'At a glance',
      panels: [
        {
          title: 'Up to date',
          description: 'Virtual machines that run the wanted digest.',
          kind: 'stat',
          unit: 'short',
          width: 4,
          queries: [{ expr: `max(linuxkit_machines_by_digest{digest="current", ${M}})`, legend: '' }],
        },
        {
          title: 'Outdated',
          description: 'Those that run another.',
          kind: 'stat',
          unit: 'short',
          width: 4,
          alarm: 1,
          queries: [{ expr: `max(linuxkit_machines_by_digest{digest="outdated", ${M}})`, legend: '' }],
        },
        {
          title: 'Rollouts under way',
          description: 'LinuxKitMachines that are not there yet.',
          kind: 'stat',
          unit: 'short',
          width: 4,
          queries: [{ expr: `max(linuxkit_machine_rollouts{state="progressing", ${M}})`, legend: '' }],
        },
        {
          title: 'Stalled',
          description: 'LinuxKitMachines that need a change.',
          kind: 'stat',
          unit: 'short',
          width: 4,
          alarm: 1,
          queries: [{ expr: `max(linuxkit_machine_rollouts{state="stalled", ${M}})`, legend: '' }],
        },
        {
          title: 'Nodes that can boot',
          description: 'Boot registries that answer and reach storage.',
          kind: 'stat',
          unit: 'short',
          width: 4,
          alarmBelow: 1,
          queries: [{ expr: `sum(linuxkit_storage_reachable{job=~".*-boot-registry", ${N}})`, legend: '' }],
        },
        {
          title: 'Corrupt layers in 24 h',
          description: 'Stored bytes that were not what their record says.',
          kind: 'stat',
          unit: 'short',
          width: 4,
          alarm: 1,
          queries: [
            { expr: `sum(increase(linuxkit_boot_registry_corrupt_layers_total{${N}}[24h]))`, legend: '' },
          ],
        },
      ],
    },
    {
      title: 'Machines',
      panels: [
        {
          title: 'By phase',
          description: 'As status shows it.',
          kind: 'timeseries',
          unit: 'short',
          width: 12,
          stack: true,
          queries: [{ expr: `max by (state) (linuxkit_machines{${M}})`, legend: '{{state}}' }],
        },
        {
          title: 'By digest',
          description: 'Whether they run what is wanted.',
          kind: 'timeseries',
          unit: 'short',
          width: 12,
          stack: true,
          queries: [{ expr: `max by (digest) (linuxkit_machines_by_digest{${M}})`, legend: '{{digest}}' }],
        },
        {
          title: 'Boot',
          description: 'From the making of an instance to its being ready.',
          kind: 'timeseries',
          unit: 's',
          width: 12,
          queries: [
            {
              expr: `histogram_quantile(0.5, sum by (le) (rate(linuxkit_machine_boot_duration_seconds_bucket{${M}}[1h])))`,
              legend: 'median',
            },
            {
              expr: `histogram_quantile(0.95, sum by (le) (rate(linuxkit_machine_boot_duration_seconds_bucket{${M}}[1h])))`,
              legend: 'p95',
            },
          ],
        },
        {
          title: 'Starting',
          description:
            'Virtual machines that do not serve yet, and LinuxKitMachines that wait for their turn.',
          kind: 'timeseries',
          unit: 'short',
          width: 12,
          queries: [
            { expr: `max(linuxkit_machines_starting{${M}})`, legend: 'starting' },
            { expr: `max(linuxkit_machines_waiting_for_slot{${M}})`, legend: 'waiting' },
          ],
        },
      ],
    },
    {
      title: 'Rollouts',
      panels: [
        {
          title: 'Under way',
          description: 'LinuxKitMachines by how far they are.',
          kind: 'timeseries',
          unit: 'short',
          width: 8,
          stack: true,
          queries: [{ expr: `max by (state) (linuxkit_machine_rollouts{${M}})`, legend: '{{state}}' }],
        },
        {
          title: 'Ended, an hour',
          description: 'By how.',
          kind: 'timeseries',
          unit: 'short',
          width: 8,
          queries: [
            {
              expr: `sum by (result) (increase(linuxkit_machine_rollouts_total{${M}}[1h]))`,
              legend: '{{result}}',
            },
          ],
        },
        {
          title: 'Restarts an hour',
          description: 'By why.',
          kind: 'timeseries',
          unit: 'short',
          width: 8,
          queries: [
            {
              expr: `sum by (reason) (increase(linuxkit_machine_restarts_total{${M}}[1h]))`,
              legend: '{{reason}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Boot registries',
      panels: [
        {
          title: 'Requests',
          description: 'Of container runtimes, by answer; `cut` ended early.',
          kind: 'timeseries',
          unit: 'reqps',
          width: 8,
          queries: [
            {
              expr: `sum by (route, code) (rate(linuxkit_boot_registry_requests_total{${N}}[$__rate_interval]))`,
              legend: '{{route}} {{code}}',
            },
          ],
        },
        {
          title: 'Sent',
          description: 'By node.',
          kind: 'timeseries',
          unit: 'Bps',
          width: 8,
          stack: true,
          queries: [
            {
              expr: `sum by (node) (rate(linuxkit_boot_registry_sent_bytes_total{${N}}[$__rate_interval]))`,
              legend: '{{node}}',
            },
          ],
        },
        {
          title: 'Time of a request, p99',
          description: 'By what was asked for.',
          kind: 'timeseries',
          unit: 's',
          width: 8,
          queries: [
            {
              expr: `histogram_quantile(0.99, sum by (le, route) (rate(linuxkit_boot_registry_request_duration_seconds_bucket{${N}}[$__rate_interval])))`,
              legend: '{{route}}',
            },
          ],
        },
        {
          title: 'Reach storage',
          description: '1 while they do, by node.',
          kind: 'timeseries',
          unit: 'short',
          width: 12,
          queries: [
            {
              expr: `min by (node) (linuxkit_storage_reachable{job=~".*-boot-registry", ${N}})`,
              legend: '{{node}}',
            },
          ],
        },
        {
          title: 'Memory',
          description: 'Resident, by node.',
          kind: 'timeseries',
          unit: 'bytes',
          width: 12,
          queries: [
            { expr: `process_resident_memory_bytes{job=~".*-boot-registry", ${N}}`, legend: '{{node}}' },
          ],
        },
      ],
    },
  ],
};
