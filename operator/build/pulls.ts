import { messageOf } from '../errors.ts';
import type { OnPull } from '../oci/layer-store.ts';
import type { BuildEnvironment, StepSeconds } from './prepare.ts';

/** Tells of pulled blobs, and measures the time in which at least one was being pulled. */
export class Pulls {
  readonly #environment: Pick<BuildEnvironment, 'now' | 'report'>;
  #underWay = 0;
  #since = 0;
  #milliseconds: number | undefined;

  constructor(environment: Pick<BuildEnvironment, 'now' | 'report'>) {
    this.#environment = environment;
  }

  /** Nothing when nothing was pulled: everything came out of the cache. */
  get seconds(): StepSeconds {
    return this.#milliseconds === undefined ? {} : { pull: this.#milliseconds / 1000 };
  }

  readonly begin: OnPull = ({ digest, size }) => {
    const { now, report } = this.#environment;
    const begun = now().getTime();
    if (this.#underWay++ === 0) this.#since = begun;
    return (error) => {
      const end = now().getTime();
      if (--this.#underWay === 0) this.#milliseconds = (this.#milliseconds ?? 0) + end - this.#since;
      const problem = error === undefined ? {} : { problem: messageOf(error) };
      report({ kind: 'pulled', digest, size, seconds: (end - begun) / 1000, ...problem });
    };
  };
}
