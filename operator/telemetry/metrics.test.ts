import { expect, test } from 'vitest';
import { Metrics } from './metrics.ts';

/** Uses everything once, with as many different objects as a large cluster has. */
async function used(): Promise<{ readonly metrics: Metrics; readonly page: string }> {
  const metrics = new Metrics({ version: '1.2.3', process: false });
  for (let n = 0; n < 500; n++) {
    metrics.client.request({ method: 'GET', host: 'api', code: '200', seconds: 0.01 });
    metrics.watch.heard('jobs.batch', n);
    metrics.watch.cached('jobs.batch', n);
    metrics.queue('image').waited(0.1);
    metrics.controller('image').reconciled('success', 0.02);
    metrics.images.built({ result: 'succeeded', reason: 'Created', arch: 'amd64' });
    metrics.images.took('pull', n);
    metrics.images.states({ ready: n });
    metrics.machines.states({ Running: n });
  }
  metrics.client.retry({ method: 'GET', host: 'api', code: '429' });
  metrics.watch.restarted('jobs.batch', 'stale');
  metrics.watch.listed('jobs.batch', 'start');
  metrics.election.leading('lease', true);
  const queue = metrics.queue('image');
  queue.added();
  queue.retried();
  queue.depth(3);
  queue.worked(1);
  queue.unfinished(2, 1);
  const controller = metrics.controller('image');
  controller.stalled();
  controller.panicked();
  controller.timedOut();
  controller.workers(4, 1);
  metrics.images.moved('pulled', 10);
  metrics.images.oldestWaiting(90);
  metrics.images.cacheUsed({ hits: 3, misses: 1, bytes: 50 });
  metrics.images.artifacts({ current: { count: 2, bytes: 70 }, history: { count: 0, bytes: 0 } });
  metrics.images.artifactRemoved('history');
  metrics.machines.digests({ current: 1 });
  metrics.machines.restarted('Rollout');
  metrics.endpoint.request({ route: '/v1/announce', status: 200, seconds: 0.1 });
  return { metrics, page: (await metrics.page()).body };
}

test.each([
  'rest_client_requests_total{code="200",method="GET",host="api"} 500',
  'rest_client_request_retries_total{code="429",method="GET",host="api"} 1',
  'leader_election_master_status{name="lease"} 1',
  'workqueue_depth{name="image",controller="image"} 3',
  'workqueue_adds_total{name="image",controller="image"} 1',
  'workqueue_retries_total{name="image",controller="image"} 1',
  'workqueue_unfinished_work_seconds{name="image",controller="image"} 2',
  'workqueue_longest_running_processor_seconds{name="image",controller="image"} 1',
  'workqueue_queue_duration_seconds_count{name="image",controller="image"} 500',
  'workqueue_work_duration_seconds_count{name="image",controller="image"} 1',
  'controller_runtime_reconcile_total{controller="image",result="success"} 500',
  'controller_runtime_reconcile_errors_total{controller="image"} 0',
  'controller_runtime_terminal_reconcile_errors_total{controller="image"} 1',
  'controller_runtime_reconcile_panics_total{controller="image"} 1',
  'controller_runtime_reconcile_timeouts_total{controller="image"} 1',
  'controller_runtime_reconcile_time_seconds_count{controller="image"} 500',
  'controller_runtime_max_concurrent_reconciles{controller="image"} 4',
  'controller_runtime_active_workers{controller="image"} 1',
  'linuxkit_image_builds_total{result="succeeded",reason="Created",arch="amd64"} 500',
  'linuxkit_image_build_duration_seconds_count{phase="pull"} 500',
  'linuxkit_image_build_bytes_total{direction="pulled"} 10',
  'linuxkit_images{state="ready"} 499',
  'linuxkit_image_build_queue_oldest_seconds 90',
  'linuxkit_image_build_cache_requests_total{result="hit"} 3',
  'linuxkit_image_build_cache_requests_total{result="miss"} 1',
  'linuxkit_image_build_cache_bytes_total 50',
  'linuxkit_artifacts{state="current"} 2',
  'linuxkit_artifact_bytes{state="current"} 70',
  'linuxkit_machines{state="Running"} 499',
  'linuxkit_machines_by_digest{digest="current"} 1',
  'linuxkit_watch_restarts_total{resource="jobs.batch",reason="stale"} 1',
  'linuxkit_operator_build_info{version="1.2.3"} 1',
])('%s', async (line) => {
  expect((await used()).page).toContain(`${line}\n`);
});

test('what happens seldom counts from 0, and what has happened is not forgotten', async () => {
  const metrics = new Metrics({ version: 'x', process: false });
  metrics.watch.listed('jobs.batch', 'start');
  metrics.watch.restarted('jobs.batch', 'gone');
  metrics.watch.listed('jobs.batch', 'gone');
  const { body } = await metrics.page();
  for (const [reason, count] of Object.entries({ expired: 0, gone: 1, error: 0, stale: 0 }))
    expect(body).toContain(
      `linuxkit_watch_restarts_total{resource="jobs.batch",reason="${reason}"} ${count}\n`,
    );
  for (const reason of ['Rollout', 'Rollback', 'Requested'])
    expect(body).toContain(`linuxkit_machine_restarts_total{reason="${reason}"} 0\n`);
});

test('every metric is named by the rules and has a help text, and their number is bounded', async () => {
  const { metrics, page } = await used();
  for (const metric of await metrics.registry.getMetricsAsJSON()) {
    expect(metric.name).toMatch(
      /^(linuxkit|controller_runtime|workqueue|rest_client|leader_election)_[a-z0-9_]+$/,
    );
    if (String(metric.type) === 'counter') expect(metric.name).toMatch(/_total$/);
    if (String(metric.type) === 'histogram') expect(metric.name).toMatch(/_(seconds|bytes)$/);
    expect(metric.help).toMatch(/^[A-Z0-9].*\.$/);
  }
  // 500 objects later there are no more series than after one.
  expect(page.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length).toBeLessThan(200);
});

test('what is asked for at a scrape is asked for at each', async () => {
  const metrics = new Metrics({ version: 'x', process: false });
  let scrapes = 0;
  metrics.onScrape(() => metrics.images.states({ ready: ++scrapes }));
  await metrics.page();
  expect((await metrics.page()).body).toContain('linuxkit_images{state="ready"} 2\n');
});
