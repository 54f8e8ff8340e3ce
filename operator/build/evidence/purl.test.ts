import { expect, it } from 'vitest';
import { parseReference } from '../../oci/reference.ts';
import { digest } from './examples.ts';
import { ociPurl } from './purl.ts';

it.each([
  ['alpine:3.20', 'alpine', 'docker.io%2Flibrary%2Falpine', '&tag=3.20'],
  ['127.0.0.1:5000/linuxkit/init', 'init', '127.0.0.1:5000%2Flinuxkit%2Finit', ''],
  ['[fd00::1]:5000/a__b/c.d', 'c.d', '%5Bfd00::1%5D:5000%2Fa__b%2Fc.d', ''],
])('writes %s as a package URL', (text, name, url, tag) => {
  const sum = digest('x');
  expect(ociPurl(parseReference(text), sum, 'amd64')).toBe(
    `pkg:oci/${name}@${sum}?arch=amd64&repository_url=${url}${tag}`,
  );
});
