import { BUILDS } from './builds.ts';
import type { Dashboard } from './dashboard.ts';
import { FLEET } from './fleet.ts';
import { OPERATORS } from './operators.ts';

/** The dashboards of the chart, by the name of their file. */
export const DASHBOARDS: Readonly<Record<string, Dashboard>> = {
  operators: OPERATORS,
  builds: BUILDS,
  fleet: FLEET,
};
