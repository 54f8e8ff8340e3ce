import type { MachineReason } from '../../api/reasons.ts';
import type { Action, Tell } from './actions.ts';

/** What a pass collects: actions in their order, and what is to be told of them. */
export class Plan {
  readonly actions: Action[] = [];
  readonly done: Tell[] = [];

  add(...actions: readonly Action[]): void {
    this.actions.push(...actions);
  }

  tell(reason: MachineReason, action: string, note: string): void {
    this.done.push({ type: 'Normal', reason, action, note });
  }
}
