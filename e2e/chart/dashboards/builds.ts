import type { Dashboard } from './dashboard.ts';

const M = 'job="$job", namespace="$namespace"';
const quantile = (q: number): string =>
  `histogram_quantile(${q}, sum by (le, phase) (rate(linuxkit_image_build_duration_seconds_bucket{${M}}[1h])))`;

/** For whoever offers image builds to others: how many, how long, and why they fail. */
export const BUILDS: Dashboard = {
  uid: 'linuxkit-builds',
  title: 'LinuxKit / Builds',
  description: 'Builds of LinuxKit images: results, durations, bytes, and what is stored.',
  rows: [
    {
      title: 'At a glance',
      panels: [
        {
          title: 'Succeeded in 24 h',
          description: 'Builds.',
          kind: 'stat',
          unit: 'short',
          width: 4,
          queries: [
            {
              expr: `sum(increase(linuxkit_image_builds_total{result="succeeded", ${M}}[24h])) or vector(0)`,
              legend: '',
            },
          ],
        },
        {
          title: 'Failed in 24 h',
          description: 'Builds.',
          kind: 'stat',
          unit: 'short',
          width: 4,
          alarm: 5,
          queries: [
            {
              expr: `sum(increase(linuxkit_image_builds_total{result="failed", ${M}}[24h])) or vector(0)`,
              legend: '',
            },
          ],
        },
        {
          title: 'Ready',
          description: 'Images with an artifact of their present spec.',
          kind: 'stat',
          unit: 'short',
          width: 4,
          queries: [{ expr: `max(linuxkit_images{state="ready", ${M}})`, legend: '' }],
        },
        {
          title: 'Stalled',
          description: 'Images that need a change.',
          kind: 'stat',
          unit: 'short',
          width: 4,
          alarm: 1,
          queries: [{ expr: `max(linuxkit_images{state="stalled", ${M}})`, legend: '' }],
        },
        {
          title: 'Under way',
          description: 'Builds that run.',
          kind: 'stat',
          unit: 'short',
          width: 4,
          queries: [{ expr: `max(linuxkit_images{state="building", ${M}})`, legend: '' }],
        },
        {
          title: 'Oldest under way',
          description: 'Since it began.',
          kind: 'stat',
          unit: 's',
          width: 4,
          alarm: 7200,
          queries: [{ expr: `max(linuxkit_image_build_oldest_seconds{${M}})`, legend: '' }],
        },
      ],
    },
    {
      title: 'Queue',
      panels: [
        {
          title: 'Waiting for their turn',
          description: 'user: created, changed, asked for. operator: refresh, new engine.',
          kind: 'timeseries',
          unit: 'short',
          width: 16,
          stack: true,
          queries: [
            {
              expr: `max by (priority) (linuxkit_image_build_queue_depth{${M}})`,
              legend: '{{priority}}',
            },
          ],
        },
        {
          title: 'Longest wait',
          description: 'Of the build that has waited longest for its turn.',
          kind: 'timeseries',
          unit: 's',
          width: 8,
          queries: [{ expr: `max(linuxkit_image_build_queue_oldest_seconds{${M}})`, legend: 'longest' }],
        },
      ],
    },
    {
      title: 'Results',
      panels: [
        {
          title: 'Builds an hour',
          description: 'By result.',
          kind: 'timeseries',
          unit: 'short',
          width: 12,
          stack: true,
          queries: [
            {
              expr: `sum by (result) (increase(linuxkit_image_builds_total{${M}}[1h]))`,
              legend: '{{result}}',
            },
          ],
        },
        {
          title: 'Failures an hour',
          description: 'By reason; docs/linuxkitimage.md explains each.',
          kind: 'timeseries',
          unit: 'short',
          width: 12,
          stack: true,
          queries: [
            {
              expr: `sum by (reason) (increase(linuxkit_image_builds_total{result="failed", ${M}}[1h]))`,
              legend: '{{reason}}',
            },
          ],
        },
        {
          title: 'Images',
          description: 'By state.',
          kind: 'timeseries',
          unit: 'short',
          width: 24,
          stack: true,
          queries: [{ expr: `max by (state) (linuxkit_images{${M}})`, legend: '{{state}}' }],
        },
      ],
    },
    {
      title: 'Durations',
      panels: [
        {
          title: 'Phases, median',
          description: 'Of builds in the last hour.',
          kind: 'timeseries',
          unit: 's',
          width: 12,
          queries: [{ expr: quantile(0.5), legend: '{{phase}}' }],
        },
        {
          title: 'Phases, p95',
          description: 'Of builds in the last hour.',
          kind: 'timeseries',
          unit: 's',
          width: 12,
          queries: [{ expr: quantile(0.95), legend: '{{phase}}' }],
        },
        {
          title: 'Whole builds',
          description: 'How many took how long.',
          kind: 'heatmap',
          unit: 's',
          width: 24,
          queries: [
            {
              expr: `sum by (le) (increase(linuxkit_image_build_duration_seconds_bucket{phase="total", ${M}}[$__rate_interval]))`,
              legend: '',
            },
          ],
        },
      ],
    },
    {
      title: 'Cache and artifacts',
      panels: [
        {
          title: 'Members out of the cache',
          description: 'Of the members of all initrds that were built.',
          kind: 'timeseries',
          unit: 'short',
          width: 8,
          stack: true,
          queries: [
            {
              expr: `sum by (result) (increase(linuxkit_image_build_cache_requests_total{${M}}[1h]))`,
              legend: '{{result}}',
            },
          ],
        },
        {
          title: 'Bytes out of the cache',
          description: 'That builds did not have to make.',
          kind: 'timeseries',
          unit: 'Bps',
          width: 8,
          queries: [
            {
              expr: `sum(rate(linuxkit_image_build_cache_bytes_total{${M}}[$__rate_interval]))`,
              legend: 'from the cache',
            },
          ],
        },
        {
          title: 'Artifacts kept',
          description: 'Kernels and initrds: the present ones, and those of histories.',
          kind: 'timeseries',
          unit: 'bytes',
          width: 8,
          stack: true,
          queries: [{ expr: `max by (state) (linuxkit_artifact_bytes{${M}})`, legend: '{{state}}' }],
        },
      ],
    },
    {
      title: 'Bytes',
      panels: [
        {
          title: 'Pulled and stored',
          description: 'By builds that ended.',
          kind: 'timeseries',
          unit: 'Bps',
          width: 12,
          queries: [
            {
              expr: `sum by (direction) (rate(linuxkit_image_build_bytes_total{${M}}[$__rate_interval]))`,
              legend: '{{direction}}',
            },
          ],
        },
        {
          title: 'Artifacts removed an hour',
          description: 'By why.',
          kind: 'timeseries',
          unit: 'short',
          width: 6,
          queries: [
            {
              expr: `sum by (reason) (increase(linuxkit_artifacts_removed_total{${M}}[1h]))`,
              legend: '{{reason}}',
            },
          ],
        },
        {
          title: 'Looks for garbage an hour',
          description: 'By result.',
          kind: 'timeseries',
          unit: 'short',
          width: 6,
          queries: [
            {
              expr: `sum by (result) (increase(linuxkit_garbage_collections_total{${M}}[1h]))`,
              legend: '{{result}}',
            },
          ],
        },
      ],
    },
  ],
};
