import packageJson from '../../package.json' with { type: 'json' };

/** Version of the program: what the image was built with, or that of the checkout. */
export function engineVersion(): string {
  return process.env['LINUXKIT_OPERATOR_VERSION'] ?? packageJson.version;
}

/** How the engine names itself in records. */
export function engineName(): string {
  return `linuxkit-operator/${engineVersion()}`;
}
