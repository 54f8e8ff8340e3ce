import type { BuildStep } from './record.ts';

/** What a build says of itself while it runs. Sizes in bytes. */
export type BuildProgress =
  | { readonly kind: 'step'; readonly step: BuildStep }
  /** A step is over; with `problem` by a failure. The step `pull` overlaps `assemble`. */
  | {
      readonly kind: 'ended';
      readonly step: BuildStep;
      readonly seconds: number;
      readonly problem?: string;
    }
  | {
      readonly kind: 'resolved';
      readonly location: string;
      readonly reference: string;
      readonly digest: string;
    }
  | { readonly kind: 'verified'; readonly location: string; readonly signer: string }
  | {
      readonly kind: 'pulled';
      readonly digest: string;
      readonly size: number;
      readonly seconds: number;
      readonly problem?: string;
    }
  | { readonly kind: 'member'; readonly name: string; readonly cached: boolean; readonly size: number }
  | { readonly kind: 'warning'; readonly message: string };

export type ReportProgress = (event: BuildProgress) => void;
