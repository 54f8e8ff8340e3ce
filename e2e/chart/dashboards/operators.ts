import type { Dashboard } from './dashboard.ts';

const M = 'job="$job", namespace="$namespace"';
const p99 = (metric: string, by: string): string =>
  `histogram_quantile(0.99, sum by (le, ${by}) (rate(${metric}_bucket{${M}}[$__rate_interval])))`;

/** For whoever keeps the operator running: its controllers, its way to the API server, its process. */
export const OPERATORS: Dashboard = {
  uid: 'linuxkit-operators',
  title: 'LinuxKit / Operator',
  description: 'Controllers, queues, watches and requests of the LinuxKit operator, and its processes.',
  rows: [
    {
      title: 'At a glance',
      panels: [
        {
          title: 'Replicas',
          description: 'Managers that Prometheus reaches.',
          kind: 'stat',
          unit: 'short',
          width: 4,
          alarmBelow: 1,
          queries: [{ expr: `sum(up{${M}})`, legend: '' }],
        },
        {
          title: 'Leaders',
          description: 'One, always.',
          kind: 'stat',
          unit: 'short',
          width: 4,
          alarmBelow: 1,
          queries: [{ expr: `sum(leader_election_master_status{${M}})`, legend: '' }],
        },
        {
          title: 'Storage',
          description: '1 while the bucket answers.',
          kind: 'stat',
          unit: 'short',
          width: 4,
          alarmBelow: 1,
          queries: [{ expr: `min(linuxkit_storage_reachable{${M}})`, legend: '' }],
        },
        {
          title: 'Certificate ends',
          description: 'Of the artifact endpoint.',
          kind: 'stat',
          unit: 'dateTimeFromNow',
          width: 4,
          queries: [
            {
              expr: `min(linuxkit_artifact_endpoint_certificate_expiry_timestamp_seconds{${M}}) * 1000`,
              legend: '',
            },
          ],
        },
        {
          title: 'Errors in 1 h',
          description: 'Reconciles that failed.',
          kind: 'stat',
          unit: 'short',
          width: 4,
          alarm: 50,
          queries: [
            { expr: `sum(increase(controller_runtime_reconcile_errors_total{${M}}[1h]))`, legend: '' },
          ],
        },
        {
          title: 'Version',
          description: 'That runs.',
          kind: 'stat',
          unit: 'short',
          width: 4,
          queries: [
            { expr: `count by (version) (linuxkit_operator_build_info{${M}})`, legend: '{{version}}' },
          ],
        },
      ],
    },
    {
      title: 'Controllers',
      panels: [
        {
          title: 'Reconciles',
          description: 'By controller and result.',
          kind: 'timeseries',
          unit: 'ops',
          width: 12,
          queries: [
            {
              expr: `sum by (controller, result) (rate(controller_runtime_reconcile_total{${M}}[$__rate_interval]))`,
              legend: '{{controller}} {{result}}',
            },
          ],
        },
        {
          title: 'Time of a reconcile, p99',
          description: 'Seconds; the deadline is a minute.',
          kind: 'timeseries',
          unit: 's',
          width: 12,
          queries: [
            {
              expr: p99('controller_runtime_reconcile_time_seconds', 'controller'),
              legend: '{{controller}}',
            },
          ],
        },
        {
          title: 'Queue',
          description: 'Objects that wait in the replica that leads.',
          kind: 'timeseries',
          unit: 'short',
          width: 8,
          queries: [
            {
              expr: `sum by (controller) (workqueue_depth{${M}} and on (instance) leader_election_master_status{${M}} == 1)`,
              legend: '{{controller}}',
            },
          ],
        },
        {
          title: 'Wait in the queue, p99',
          description: 'From being added to being taken.',
          kind: 'timeseries',
          unit: 's',
          width: 8,
          queries: [
            { expr: p99('workqueue_queue_duration_seconds', 'controller'), legend: '{{controller}}' },
          ],
        },
        {
          title: 'Workers',
          description: 'At work, and how many there are.',
          kind: 'timeseries',
          unit: 'short',
          width: 8,
          queries: [
            {
              expr: `sum by (controller) (controller_runtime_active_workers{${M}})`,
              legend: '{{controller}} at work',
            },
            {
              expr: `max by (controller) (controller_runtime_max_concurrent_reconciles{${M}})`,
              legend: '{{controller}} limit',
            },
          ],
        },
        {
          title: 'Failures',
          description: 'Errors, those that only a change mends, bugs, and deadlines passed.',
          kind: 'timeseries',
          unit: 'ops',
          width: 12,
          queries: [
            {
              expr: `sum by (controller) (rate(controller_runtime_reconcile_errors_total{${M}}[$__rate_interval]))`,
              legend: '{{controller}} errors',
            },
            {
              expr: `sum by (controller) (rate(controller_runtime_terminal_reconcile_errors_total{${M}}[$__rate_interval]))`,
              legend: '{{controller}} terminal',
            },
            {
              expr: `sum by (controller) (rate(controller_runtime_reconcile_panics_total{${M}}[$__rate_interval]))`,
              legend: '{{controller}} bugs',
            },
            {
              expr: `sum by (controller) (rate(controller_runtime_reconcile_timeouts_total{${M}}[$__rate_interval]))`,
              legend: '{{controller}} timeouts',
            },
          ],
        },
        {
          title: 'Longest work in progress',
          description: 'Seconds that one object has been worked on.',
          kind: 'timeseries',
          unit: 's',
          width: 12,
          queries: [
            {
              expr: `max by (controller) (workqueue_longest_running_processor_seconds{${M}})`,
              legend: '{{controller}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Kubernetes API',
      panels: [
        {
          title: 'Requests',
          description: 'By answer.',
          kind: 'timeseries',
          unit: 'reqps',
          width: 8,
          stack: true,
          queries: [
            {
              expr: `sum by (code) (rate(rest_client_requests_total{${M}}[$__rate_interval]))`,
              legend: '{{code}}',
            },
          ],
        },
        {
          title: 'Time to an answer, p99',
          description: 'By method.',
          kind: 'timeseries',
          unit: 's',
          width: 8,
          queries: [{ expr: p99('rest_client_request_duration_seconds', 'method'), legend: '{{method}}' }],
        },
        {
          title: 'Silence of watches',
          description: 'Since a replica last heard of a kind; bookmarks come about every minute.',
          kind: 'timeseries',
          unit: 's',
          width: 8,
          queries: [
            {
              expr: `max by (resource) (time() - linuxkit_watch_last_event_timestamp_seconds{${M}})`,
              legend: '{{resource}}',
            },
          ],
        },
        {
          title: 'Watches opened again',
          description: '`expired` is as planned; `gone` reads the list anew; `stale` was a dead connection.',
          kind: 'timeseries',
          unit: 'ops',
          width: 12,
          queries: [
            {
              expr: `sum by (reason) (rate(linuxkit_watch_restarts_total{${M}}[$__rate_interval]))`,
              legend: '{{reason}}',
            },
            {
              expr: `sum by (reason) (rate(linuxkit_watch_lists_total{${M}}[$__rate_interval]))`,
              legend: 'lists: {{reason}}',
            },
          ],
        },
        {
          title: 'Objects held',
          description: 'By kind, in one replica.',
          kind: 'timeseries',
          unit: 'short',
          width: 12,
          queries: [
            { expr: `max by (resource) (linuxkit_watch_cached_objects{${M}})`, legend: '{{resource}}' },
          ],
        },
      ],
    },
    {
      title: 'Artifact endpoint',
      panels: [
        {
          title: 'Requests of build pods',
          description: 'By HTTP status.',
          kind: 'timeseries',
          unit: 'reqps',
          width: 12,
          queries: [
            {
              expr: `sum by (route, code) (rate(linuxkit_artifact_endpoint_requests_total{${M}}[$__rate_interval]))`,
              legend: '{{route}} {{code}}',
            },
          ],
        },
        {
          title: 'Time of a request, p99',
          description: 'By route.',
          kind: 'timeseries',
          unit: 's',
          width: 12,
          queries: [
            {
              expr: p99('linuxkit_artifact_endpoint_request_duration_seconds', 'route'),
              legend: '{{route}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Processes',
      panels: [
        {
          title: 'Memory',
          description: 'Resident, by replica.',
          kind: 'timeseries',
          unit: 'bytes',
          width: 8,
          queries: [
            { expr: `process_resident_memory_bytes{${M}}`, legend: '{{pod}}' },
            { expr: `nodejs_heap_size_used_bytes{${M}}`, legend: '{{pod}} heap' },
          ],
        },
        {
          title: 'Processor',
          description: 'Cores, by replica.',
          kind: 'timeseries',
          unit: 'short',
          width: 8,
          queries: [{ expr: `rate(process_cpu_seconds_total{${M}}[$__rate_interval])`, legend: '{{pod}}' }],
        },
        {
          title: 'Event loop lag, p99',
          description: 'Above a tenth of a second the process is short of processor.',
          kind: 'timeseries',
          unit: 's',
          width: 8,
          queries: [{ expr: `nodejs_eventloop_lag_p99_seconds{${M}}`, legend: '{{pod}}' }],
        },
      ],
    },
  ],
};
