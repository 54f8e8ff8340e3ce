import { describe, expect, it } from 'vitest';
import { s3OptionsFromEnvironment } from './options.ts';

describe('s3OptionsFromEnvironment', () => {
  it('needs no more than a bucket, for AWS with its own credentials', () => {
    expect(s3OptionsFromEnvironment({ LINUXKIT_S3_BUCKET: 'linuxkit', HOME: '/root' })).toEqual({
      region: 'us-east-1',
      bucket: 'linuxkit',
      forcePathStyle: false,
    });
  });

  it('takes everything', () => {
    const read = (path: string) => `text of ${path}`;
    const env = {
      LINUXKIT_S3_ENDPOINT: 'https://s3.example.org:9000',
      LINUXKIT_S3_REGION: 'eu-central-1',
      LINUXKIT_S3_BUCKET: 'my.bucket-1',
      LINUXKIT_S3_FORCE_PATH_STYLE: 'false',
      LINUXKIT_S3_ACCESS_KEY_ID: 'id',
      LINUXKIT_S3_SECRET_ACCESS_KEY: 'secret',
      LINUXKIT_S3_SESSION_TOKEN: 'session',
      LINUXKIT_S3_CA_FILE: '/etc/ca.pem',
    };
    expect(s3OptionsFromEnvironment(env, read)).toEqual({
      endpoint: 'https://s3.example.org:9000',
      region: 'eu-central-1',
      bucket: 'my.bucket-1',
      forcePathStyle: false,
      credentials: { accessKeyId: 'id', secretAccessKey: 'secret', sessionToken: 'session' },
      caBundle: 'text of /etc/ca.pem',
    });
  });

  it('uses path style where an endpoint is set, and takes an empty variable for none', () => {
    const env = {
      LINUXKIT_S3_BUCKET: 'linuxkit',
      LINUXKIT_S3_ENDPOINT: 'http://s3:7070',
      LINUXKIT_S3_ACCESS_KEY_ID: '',
    };
    expect(
      s3OptionsFromEnvironment({ ...env, LINUXKIT_S3_SECRET_ACCESS_KEY: '', LINUXKIT_S3_REGION: '' }),
    ).toEqual({
      endpoint: 'http://s3:7070',
      region: 'us-east-1',
      bucket: 'linuxkit',
      forcePathStyle: true,
    });
  });

  it.each([
    [{}, 'LINUXKIT_S3_BUCKET: must name the bucket'],
    [{ LINUXKIT_S3_BUCKET: 'No' }, 'LINUXKIT_S3_BUCKET'],
    [{ LINUXKIT_S3_BUCKET: 'linuxkit', LINUXKIT_S3_ENDPOINT: 's3:7070' }, 'LINUXKIT_S3_ENDPOINT'],
    [{ LINUXKIT_S3_BUCKET: 'linuxkit', LINUXKIT_S3_FORCE_PATH_STYLE: 'yes' }, 'LINUXKIT_S3_FORCE_PATH_STYLE'],
    [
      { LINUXKIT_S3_BUCKET: 'linuxkit', LINUXKIT_S3_SECRET_ACCESS_KEY: 'only-this' },
      'needs LINUXKIT_S3_SECRET_ACCESS_KEY',
    ],
  ])('names what is wrong in %j, and shows no secret', (env, problem) => {
    expect(() => s3OptionsFromEnvironment(env)).toThrow(problem);
    expect(() => s3OptionsFromEnvironment(env)).not.toThrow('only-this');
  });
});
