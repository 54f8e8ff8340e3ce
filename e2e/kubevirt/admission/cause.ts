/** One reason for refusal, in the form KubeVirt's webhooks give: `FIELD: message`. */
export interface Cause {
  readonly field: string;
  readonly message: string;
}
