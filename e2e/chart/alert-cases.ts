/** What Prometheus has seen, and whether an alert fires on it. */
export interface AlertCase {
  readonly alert: string;
  /** Series in promtool's notation, one sample a minute; `JOB` and `REGISTRY` stand for the jobs' labels. */
  readonly firing: Readonly<Record<string, string>>;
  /** When, after the first sample. */
  readonly after: string;
  /** Labels of the alert that fires, besides its name and those that its rule sets. */
  readonly labels: Readonly<Record<string, string>>;
  /** Other situations in which it fires, with the same labels and at the same time. */
  readonly also?: readonly Readonly<Record<string, string>>[];
  /** Situations like it in which it keeps silent. */
  readonly silent: readonly Readonly<Record<string, string>>[];
}

const DAY = 24 * 60;

/** Every alert, firing and silent. */
export const ALERT_CASES: readonly AlertCase[] = [
  {
    alert: 'LinuxKitOperatorDown',
    firing: { 'up{JOB,pod="a"}': '0x10' },
    after: '6m',
    labels: {},
    silent: [{ 'up{JOB,pod="a"}': '0x10', 'up{JOB,pod="b"}': '1x10' }, { 'up{JOB,pod="a"}': '0x3 1x10' }],
  },
  {
    alert: 'LinuxKitOperatorNoLeader',
    firing: {
      'leader_election_master_status{JOB,pod="a"}': '1x2 0x10',
      'leader_election_master_status{JOB,pod="b"}': '0x12',
    },
    after: '9m',
    labels: {},
    silent: [
      {
        'leader_election_master_status{JOB,pod="a"}': '1x2 0x10',
        'leader_election_master_status{JOB,pod="b"}': '0x5 1x10',
      },
    ],
  },
  {
    alert: 'LinuxKitReconcileErrors',
    firing: {
      'controller_runtime_reconcile_errors_total{JOB,pod="a",controller="image"}': '0+6x60',
      'controller_runtime_reconcile_total{JOB,pod="a",controller="image",result="error"}': '0+6x60',
      'controller_runtime_reconcile_total{JOB,pod="a",controller="image",result="success"}': '0+1x60',
    },
    after: '30m',
    labels: { controller: 'image' },
    silent: [
      {
        'controller_runtime_reconcile_errors_total{JOB,pod="a",controller="image"}': '0+1x60',
        'controller_runtime_reconcile_total{JOB,pod="a",controller="image",result="error"}': '0+1x60',
        'controller_runtime_reconcile_total{JOB,pod="a",controller="image",result="success"}': '0+6x60',
      },
      {
        'controller_runtime_reconcile_errors_total{JOB,pod="a",controller="image"}': '0x60',
        'controller_runtime_reconcile_total{JOB,pod="a",controller="image",result="error"}': '0x60',
      },
    ],
  },
  {
    alert: 'LinuxKitQueueStuck',
    firing: {
      'workqueue_depth{JOB,pod="a",instance="a:1",controller="image",name="image"}': '3x40',
      'workqueue_work_duration_seconds_count{JOB,pod="a",instance="a:1",controller="image",name="image"}':
        '7x40',
      'leader_election_master_status{JOB,pod="a",instance="a:1"}': '1x40',
    },
    after: '22m',
    labels: { MANAGER: '', pod: 'a', instance: 'a:1', controller: 'image', name: 'image' },
    also: [
      // Its workers have not begun, and so nothing was ever measured of their work.
      {
        'workqueue_depth{JOB,pod="a",instance="a:1",controller="image",name="image"}': '3x40',
        'leader_election_master_status{JOB,pod="a",instance="a:1"}': '1x40',
      },
      // All workers hang. Their work is measured when it ends.
      {
        'workqueue_longest_running_processor_seconds{JOB,pod="a",instance="a:1",controller="image",name="image"}':
          '0+60x40',
        'leader_election_master_status{JOB,pod="a",instance="a:1"}': '1x40',
      },
    ],
    silent: [
      // A replica that stands by is handed the same objects and works on none.
      {
        'workqueue_depth{JOB,pod="a",instance="a:1",controller="image",name="image"}': '3x40',
        'workqueue_work_duration_seconds_count{JOB,pod="a",instance="a:1",controller="image",name="image"}':
          '0x40',
        'leader_election_master_status{JOB,pod="a",instance="a:1"}': '0x40',
      },
      {
        'workqueue_depth{JOB,pod="a",instance="a:1",controller="image",name="image"}': '3x40',
        'workqueue_work_duration_seconds_count{JOB,pod="a",instance="a:1",controller="image",name="image"}':
          '0+2x40',
        'workqueue_longest_running_processor_seconds{JOB,pod="a",instance="a:1",controller="image",name="image"}':
          '30x40',
        'leader_election_master_status{JOB,pod="a",instance="a:1"}': '1x40',
      },
    ],
  },
  {
    alert: 'LinuxKitBuildQueueStuck',
    firing: { 'linuxkit_image_build_queue_oldest_seconds{JOB,pod="a"}': '0+60x120' },
    after: '75m',
    labels: {},
    silent: [
      // A long queue that moves: none waits for an hour.
      {
        'linuxkit_image_build_queue_oldest_seconds{JOB,pod="a"}': '0+60x50 600+60x45 0x20',
        'linuxkit_image_build_queue_depth{JOB,pod="a",priority="user"}': '40x120',
      },
    ],
  },
  {
    alert: 'LinuxKitWatchStale',
    firing: { 'linuxkit_watch_last_event_timestamp_seconds{JOB,pod="a",resource="pods"}': '0x40' },
    after: '16m',
    labels: { MANAGER: '', pod: 'a', resource: 'pods' },
    silent: [{ 'linuxkit_watch_last_event_timestamp_seconds{JOB,pod="a",resource="pods"}': '0+60x40' }],
  },
  {
    alert: 'LinuxKitBuildsFailing',
    firing: {
      'linuxkit_image_builds_total{JOB,pod="a",result="failed",reason="ImagePullFailed",arch="amd64"}':
        '0+0.2x90',
      'linuxkit_image_builds_total{JOB,pod="a",result="succeeded",reason="BuildSucceeded",arch="amd64"}':
        '0+0.02x90',
    },
    after: '80m',
    labels: {},
    silent: [
      {
        'linuxkit_image_builds_total{JOB,pod="a",result="failed",reason="ImagePullFailed",arch="amd64"}':
          '0+0.2x90',
        'linuxkit_image_builds_total{JOB,pod="a",result="succeeded",reason="BuildSucceeded",arch="amd64"}':
          '0+1x90',
      },
      // One build that fails, by somebody who tries things out, wakes nobody.
      {
        'linuxkit_image_builds_total{JOB,pod="a",result="failed",reason="ImageNotFound",arch="amd64"}':
          '0x30 1x60',
      },
    ],
  },
  {
    alert: 'LinuxKitBuildStuck',
    firing: { 'linuxkit_image_build_oldest_seconds{JOB,pod="a"}': '0+60x200' },
    after: '135m',
    labels: {},
    silent: [{ 'linuxkit_image_build_oldest_seconds{JOB,pod="a"}': '0+60x100 0+60x100' }],
  },
  {
    alert: 'LinuxKitStorageUnreachable',
    firing: {
      'linuxkit_storage_reachable{JOB,pod="a"}': '1x2 0x10',
      'linuxkit_storage_reachable{JOB,pod="b"}': '0x12',
    },
    after: '9m',
    labels: {},
    silent: [
      {
        'linuxkit_storage_reachable{JOB,pod="a"}': '1x12',
        'linuxkit_storage_reachable{JOB,pod="b"}': '0x12',
      },
    ],
  },
  {
    alert: 'LinuxKitBootRegistryDown',
    firing: {
      'up{REGISTRY,pod="r",node="n1"}': '1x2 0x10',
      'up{REGISTRY,pod="s",node="n2"}': '1x12',
    },
    after: '9m',
    labels: { REGISTRY: '', pod: 'r', node: 'n1' },
    also: [
      {
        'up{REGISTRY,pod="r",node="n1"}': '1x12',
        'linuxkit_storage_reachable{REGISTRY,pod="r",node="n1"}': '1x2 0x10',
      },
    ],
    silent: [
      {
        'up{REGISTRY,pod="r",node="n1"}': '1x12',
        'linuxkit_storage_reachable{REGISTRY,pod="r",node="n1"}': '1x12',
      },
      { 'up{JOB,pod="a"}': '0x12' },
    ],
  },
  {
    alert: 'LinuxKitBootRegistryCorruptLayer',
    firing: { 'linuxkit_boot_registry_corrupt_layers_total{REGISTRY,pod="r",node="n1"}': '0x5 1x10' },
    after: '10m',
    labels: { REGISTRY: '', pod: 'r', node: 'n1' },
    silent: [{ 'linuxkit_boot_registry_corrupt_layers_total{REGISTRY,pod="r",node="n1"}': '1x15' }],
  },
  {
    alert: 'LinuxKitRolloutStalled',
    firing: { 'linuxkit_machine_rollouts{JOB,pod="a",state="stalled"}': '0x5 2x30' },
    after: '25m',
    labels: {},
    silent: [
      {
        'linuxkit_machine_rollouts{JOB,pod="a",state="stalled"}': '0x30',
        'linuxkit_machine_rollouts{JOB,pod="a",state="progressing"}': '4x30',
      },
    ],
  },
  {
    alert: 'LinuxKitMachinesOutdated',
    firing: { 'linuxkit_machines_by_digest{JOB,pod="a",digest="outdated"}': '1x90' },
    after: '65m',
    labels: {},
    silent: [
      { 'linuxkit_machines_by_digest{JOB,pod="a",digest="outdated"}': '5x40 0x50' },
      {
        'linuxkit_machines_by_digest{JOB,pod="a",digest="outdated"}': '0x90',
        'linuxkit_machines_by_digest{JOB,pod="a",digest="unknown"}': '3x90',
      },
    ],
  },
  {
    alert: 'LinuxKitCertificateExpiring',
    firing: {
      'linuxkit_artifact_endpoint_certificate_expiry_timestamp_seconds{JOB,pod="a"}': `${5 * DAY * 60}x90`,
      'linuxkit_artifact_endpoint_certificate_expiry_timestamp_seconds{JOB,pod="b"}': `${80 * DAY * 60}x90`,
    },
    after: '65m',
    labels: {},
    silent: [
      {
        'linuxkit_artifact_endpoint_certificate_expiry_timestamp_seconds{JOB,pod="a"}': `${20 * DAY * 60}x90`,
      },
    ],
  },
  {
    alert: 'LinuxKitGarbageCollectionFailing',
    firing: {
      'linuxkit_garbage_collections_total{JOB,pod="a",result="failed"}': '0+0.1x300',
      'linuxkit_garbage_collections_total{JOB,pod="a",result="succeeded"}': '4x300',
    },
    after: '250m',
    labels: {},
    silent: [
      {
        'linuxkit_garbage_collections_total{JOB,pod="a",result="failed"}': '0+0.1x300',
        'linuxkit_garbage_collections_total{JOB,pod="a",result="succeeded"}': '0+0.02x300',
      },
    ],
  },
];
