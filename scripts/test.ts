/**
 * Runs the test lanes: `node scripts/test.ts [static|unit|integration|cluster …]`, all of them
 * by default. Lanes that share nothing run side by side; what needs the machine to itself waits.
 * The last line counts what ran: `N passed, N failed`. A skipped test counts as failed.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

const LANES = ['static', 'unit', 'integration', 'cluster'] as const;
type Lane = (typeof LANES)[number];

interface Count {
  readonly passed: number;
  readonly failed: number;
  /** What failed and why, told again at the end, where it is not lost among the output of later lanes. */
  readonly failures: readonly string[];
}

/** Checks without a test runner: each counts as one. */
const STATIC_CHECKS: readonly (readonly [name: string, command: readonly string[]])[] = [
  ['format', ['biome', 'ci', '--colors=off', '--error-on-warnings', '.']],
  ['lint', ['oxlint', '--type-aware', '--deny-warnings', 'operator', 'e2e', 'scripts']],
  ['types', ['tsc', '-p', '.']],
  ['dead code', ['knip']],
  ['import directions', ['node', 'scripts/import-directions.ts']],
  ['generated files', ['node', 'operator/api/generate.ts', '--check']],
  ['generated chart files', ['node', 'e2e/chart/generate.ts', '--check']],
];

/** Upper bound for one lane, in milliseconds: a hung lane fails instead of hanging the run. */
const LANE_DEADLINE: Readonly<Record<Lane, number>> = {
  static: 300_000,
  unit: 300_000,
  integration: 1_800_000,
  cluster: 3_600_000,
};

interface Finished {
  readonly code: number | null;
  readonly output: string;
}

function run(command: readonly string[], deadline: number, echo: boolean): Promise<Finished> {
  const [file, ...args] = command;
  if (file === undefined) throw new RangeError('empty command');
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      signal: AbortSignal.timeout(deadline),
    });
    const chunks: Buffer[] = [];
    const take = (chunk: Buffer) => {
      chunks.push(chunk);
      if (echo) process.stdout.write(chunk);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('error', (error) => {
      if (error.name === 'AbortError')
        resolve({ code: null, output: `${Buffer.concat(chunks).toString()}\ndeadline exceeded` });
      else reject(error);
    });
    child.on('close', (code) => resolve({ code, output: Buffer.concat(chunks).toString() }));
  });
}

async function staticLane(): Promise<Count> {
  let passed = 0;
  const failures: string[] = [];
  for (const [name, command] of STATIC_CHECKS) {
    const started = performance.now();
    const { code, output } = await run(command, LANE_DEADLINE.static, false);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`${code === 0 ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`);
    if (code === 0) passed += 1;
    else {
      failures.push(`static > ${name}\n${lastLines(output)}`);
      console.log(output.trimEnd());
    }
  }
  return { passed, failed: failures.length, failures };
}

/** Of vitest's JSON reporter. A suite whose hook fails has a message and no failed test. */
interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numTotalTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages?: readonly string[] | null;
    }[];
  }[];
}

function lastLines(text: string, count = 12): string {
  return text
    .trimEnd()
    .split('\n')
    .slice(-count)
    .map((line) => `    ${line}`)
    .join('\n');
}

function failuresOf(lane: Lane, report: VitestReport): string[] {
  return report.testResults.flatMap((file) => {
    const name = relative(process.cwd(), file.name);
    const tests = file.assertionResults
      .filter(({ status }) => status === 'failed')
      .map(({ fullName, failureMessages }) => {
        const message = (failureMessages ?? []).join('\n').split('\n').slice(0, 12).join('\n');
        return `${lane} > ${name} > ${fullName}\n${lastLines(message)}`;
      });
    if (tests.length > 0 || file.status !== 'failed') return tests;
    return [`${lane} > ${name}\n${lastLines(file.message.split('\n').slice(0, 12).join('\n'))}`];
  });
}

async function vitestLane(lane: Exclude<Lane, 'static'>, folder: string): Promise<Count> {
  const report = join(folder, `${lane}.json`);
  const { code } = await run(
    [
      'vitest',
      'run',
      '--project',
      lane,
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
    ],
    LANE_DEADLINE[lane],
    true,
  );
  const text = await readFile(report, 'utf8').catch(() => undefined);
  if (text === undefined) {
    console.log(`FAIL ${lane}: the test runner ended with ${code} and left no report`);
    return { passed: 0, failed: 1, failures: [`${lane} > no report`] };
  }
  const result = JSON.parse(text) as VitestReport;
  const missing = result.numTotalTests - result.numPassedTests - result.numFailedTests;
  if (missing > 0) console.log(`FAIL ${lane}: ${missing} tests did not run`);
  const failed = result.numFailedTests + missing;
  // A suite that fails to load, or an unhandled rejection, fails no single test.
  return {
    passed: result.numPassedTests,
    failed: failed === 0 && code !== 0 ? 1 : failed,
    failures: failuresOf(lane, result),
  };
}

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(LANES as readonly string[]).includes(name));
if (unknown.length > 0) {
  console.error(`unknown lane ${unknown.join(', ')}; lanes are ${LANES.join(', ')}`);
  process.exit(2);
}
const wanted = (lane: Lane) => asked.length === 0 || asked.includes(lane);

const folder = await mkdtemp(join(tmpdir(), 'linuxkit-operator-test-'));
const counts: Count[] = [];
try {
  const light: Promise<Count>[] = [];
  if (wanted('static')) light.push(staticLane());
  if (wanted('unit')) light.push(vitestLane('unit', folder));
  counts.push(...(await Promise.all(light)));
  if (wanted('integration')) counts.push(await vitestLane('integration', folder));
  if (wanted('cluster')) counts.push(await vitestLane('cluster', folder));
} finally {
  await rm(folder, { recursive: true, force: true });
}
const passed = counts.reduce((sum, count) => sum + count.passed, 0);
const failed = counts.reduce((sum, count) => sum + count.failed, 0);
for (const { failures } of counts) for (const failure of failures) console.log(`\nFAIL ${failure}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
