import type { Artifact, ImageStatus } from '../../api/image.ts';
import type { MachineRow } from '../../api/machine.ts';
import type { ImageObject } from '../../controllers/image/objects.ts';
import { formatSize } from '../build-report.ts';
import { age, shortDigest } from './age.ts';
import { type Found, type MachineObject, readyOf } from './objects.ts';
import { type Cell, cell, type Paint, printable, renderTable, type Tone } from './table.ts';

/** How a status is to be shown. `now` in milliseconds since the epoch. */
export interface ViewOptions {
  readonly now: number;
  readonly paint: Paint;
  readonly namespaces: boolean;
}

/** Images, then machines, a row each. */
export function statusOverview({ images, machines }: Found, options: ViewOptions): string {
  const { paint } = options;
  const first = options.namespaces ? ['NAMESPACE'] : [];
  const tables = [
    renderTable(
      [...first, 'IMAGE', 'READY', 'REASON', 'BUILD', 'DIGEST', 'BUILT'],
      images.map((image) => imageRow(image, options)),
      paint,
    ),
    renderTable(
      [...first, 'MACHINE', 'READY', 'REASON', 'UP', 'UPDATED', 'IMAGE', 'DIGEST', 'AGE'],
      machines.map((machine) => fleetRow(machine, options)),
      paint,
    ),
  ].filter((table) => table !== '');
  return tables.length === 0 ? 'There are no images and no machines here.\n' : tables.join('\n');
}

function imageRow(image: ImageObject, { now, namespaces }: ViewOptions): readonly Cell[] {
  const { metadata, status } = image;
  return [
    ...namespaceCell(metadata.namespace, namespaces),
    cell(metadata.name, 'strong'),
    ...readyCells(status),
    cell(buildText(status, now), status?.build === undefined ? 'faint' : 'busy'),
    cell(shortDigest(status?.artifact?.digest)),
    cell(age(status?.artifact?.created, now)),
  ];
}

function fleetRow(machine: MachineObject, { now, namespaces }: ViewOptions): readonly Cell[] {
  const { metadata, spec, status } = machine;
  const wanted = spec?.replicas ?? 1;
  return [
    ...namespaceCell(metadata.namespace, namespaces),
    cell(metadata.name, 'strong'),
    ...readyCells(status),
    cell(`${status?.readyReplicas ?? 0}/${wanted}`),
    cell(`${status?.updatedReplicas ?? 0}/${wanted}`),
    cell(spec?.imageRef.name ?? '-'),
    cell(shortDigest(status?.targetDigest)),
    cell(age(metadata.creationTimestamp, now)),
  ];
}

/** Everything about one image, a fact a line. */
export function imageDetail({ metadata, status }: ImageObject, { now, paint }: ViewOptions): string {
  const { artifact, build, lastFailure } = status ?? {};
  const facts = [
    fact('Image', `${metadata.namespace}/${metadata.name}`),
    readyFact(status, paint),
    ...(artifact === undefined ? [fact('Artifact', 'none yet')] : artifactFacts(artifact, now)),
    ...(build === undefined ? [] : [fact('Building', `${buildText(status, now)}, Job ${build.job}`)]),
    ...(lastFailure === undefined
      ? []
      : [
          fact(
            'Last failure',
            `${lastFailure.reason}${lastFailure.step === undefined ? '' : ` in ${lastFailure.step}`}, ${age(lastFailure.time, now)} ago: ${lastFailure.message}`,
          ),
        ]),
    fact('Earlier', `${status?.history?.length ?? 0} artifacts kept`),
  ];
  return facts.join('');
}

function artifactFacts(artifact: Artifact, now: number): readonly string[] {
  const { kernel, initrd, inputs } = artifact;
  return [
    fact('Artifact', artifact.digest),
    fact('Built', `${age(artifact.created, now)} ago (${artifact.reason}), of ${inputs.length} images`),
    fact(
      'Files',
      `kernel ${formatSize(kernel.size)}, initrd ${formatSize(initrd.size)} (${artifact.compression}), ${artifact.architecture}`,
    ),
    fact('Command line', artifact.cmdline.text),
    ...signatureFacts(inputs),
  ];
}

/** A line for each who signed, with what; then what nobody's signature was asked for. */
function signatureFacts(inputs: Artifact['inputs']): readonly string[] {
  const locations = Map.groupBy(inputs, ({ verifiedBy }) => verifiedBy);
  const facts = [...locations].flatMap(([signer, of]) =>
    signer === undefined ? [] : [fact('Signed', `${namesOf(of)} by ${signer}`)],
  );
  const unasked = locations.get(undefined) ?? [];
  if (unasked.length === 0) return facts;
  const which = facts.length === 0 ? 'any image' : namesOf(unasked);
  return [...facts, fact('Not verified', `no signature of ${which} was asked for`)];
}

function namesOf(inputs: Artifact['inputs']): string {
  return inputs.map(({ location }) => location).join(', ');
}

/** Everything about one machine, then its virtual machines. */
export function machineDetail(machine: MachineObject, options: ViewOptions): string {
  const { metadata, spec, status } = machine;
  const { now, paint } = options;
  const failed = status?.failedRevision;
  const pinned = spec?.imageRef.digest === undefined ? '' : ` pinned to ${spec.imageRef.digest}`;
  const facts = [
    fact('Machine', `${metadata.namespace}/${metadata.name}`),
    readyFact(status, paint),
    fact('Image', `${spec?.imageRef.name ?? '-'}${pinned}`),
    fact('Runs', status?.currentDigest ?? '-'),
    fact('Wanted', status?.targetDigest ?? '-'),
    ...(status?.targetRevision === undefined ? [] : [fact('Revision', status.targetRevision)]),
    ...(failed === undefined
      ? []
      : [
          fact('Failed', `${failed.name}, ${age(failed.time, now)} ago, ${failed.reason}: ${failed.message}`),
        ]),
  ];
  const rows = renderTable(
    ['VM', 'PHASE', 'READY', 'UPDATED', 'DIGEST', 'NODE', 'ADDRESS', 'MESSAGE'],
    (status?.machines ?? []).map(vmRow),
    paint,
  );
  return rows === '' ? facts.join('') : `${facts.join('')}\n${rows}`;
}

function vmRow(row: MachineRow): readonly Cell[] {
  return [
    cell(row.name, 'strong'),
    cell(row.phase, row.phase === 'Failing' || row.phase === 'Foreign' ? 'bad' : 'plain'),
    cell(row.ready ? 'yes' : 'no', row.ready ? 'good' : 'bad'),
    cell(row.updated ? 'yes' : 'no', row.updated ? 'plain' : 'busy'),
    cell(shortDigest(row.bootedDigest)),
    cell(row.node ?? '-'),
    cell(row.addresses?.[0] ?? '-'),
    cell(row.message ?? ''),
  ];
}

function buildText(status: ImageStatus | undefined, now: number): string {
  const build = status?.build;
  return build === undefined
    ? '-'
    : `${build.phase ?? 'Queued'} ${age(build.startTime, now)} (${build.reason})`;
}

function namespaceCell(namespace: string | undefined, shown: boolean): readonly Cell[] {
  return shown ? [cell(namespace ?? '-')] : [];
}

function readyCells(status: Parameters<typeof readyOf>[0]): readonly Cell[] {
  const ready = readyOf(status);
  return [cell(ready?.status ?? 'Unknown', toneOf(ready?.status)), cell(ready?.reason ?? '-')];
}

function readyFact(status: Parameters<typeof readyOf>[0], paint: Paint): string {
  const ready = readyOf(status);
  if (ready === undefined) return fact('Ready', 'nobody has looked at it yet');
  return `${label('Ready')}${paint(ready.status, toneOf(ready.status))} ${printable(`${ready.reason}: ${ready.message}`)}\n`;
}

function toneOf(status: string | undefined): Tone {
  if (status === 'True') return 'good';
  return status === 'False' ? 'bad' : 'busy';
}

function fact(name: string, text: string): string {
  return `${label(name)}${printable(text)}\n`;
}

function label(name: string): string {
  return `${name}:`.padEnd(14);
}
