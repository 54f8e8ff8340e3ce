import { expect, test } from 'vitest';
import { CodedError } from '../errors.ts';
import { errorText } from './exit.ts';

test.each([
  [new CodedError('ImageNotFound', 'web:1 is not there'), 'error: ImageNotFound: web:1 is not there'],
  [Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT' }), 'error: ENOENT: no such file'],
  [new Error('plain'), 'error: plain'],
  [new DOMException('This operation was aborted', 'AbortError'), 'error: This operation was aborted'],
  ['no error at all', 'error: no error at all'],
])('%s is told once', (error, text) => {
  expect(errorText(error)).toBe(text);
});
