import type { FuzzTarget } from '../target.ts';
import { cpioTarget } from './cpio.ts';
import {
  attestationTarget,
  buildRecordTarget,
  dockerConfigTarget,
  imageConfigTarget,
  manifestTarget,
  sbomTarget,
} from './documents.ts';
import { layerTarget } from './layer.ts';
import { bundleTarget, signatureTarget } from './signature.ts';
import { flattenTarget, tarTarget } from './tar.ts';
import { challengeTarget, rangeTarget, referenceTarget, yamlTarget } from './text.ts';

/** Every parser of what comes from outside. */
export const TARGETS: readonly FuzzTarget[] = [
  tarTarget,
  flattenTarget,
  cpioTarget,
  layerTarget,
  yamlTarget,
  manifestTarget,
  imageConfigTarget,
  dockerConfigTarget,
  buildRecordTarget,
  sbomTarget,
  attestationTarget,
  signatureTarget,
  bundleTarget,
  referenceTarget,
  challengeTarget,
  rangeTarget,
];
