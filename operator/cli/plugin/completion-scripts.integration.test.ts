import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ControlPlane } from '../../../e2e/cluster/control-plane.ts';
import { installCrds } from '../../../e2e/cluster/crds.ts';
import { DebianPackages } from '../../../e2e/images/debian/packages.ts';
import { waitFor } from '../../../e2e/process/wait.ts';
import { silentReporter } from '../../../e2e/progress/reporter.ts';
import { cacheFolder } from '../../../e2e/tools/cache.ts';
import { IMAGES, type ImageObject } from '../../controllers/image/objects.ts';
import { ClusterAccess } from '../../runtime/access.ts';
import { ApiClient } from '../../runtime/api-client.ts';
import { completionScript, type Shell } from './completion-scripts.ts';
import { IMAGE } from './examples.ts';

/** Real shells on a terminal, at which somebody types and presses Tab; a real API server names the objects. */

const MAIN = join(import.meta.dirname, '../../main.ts');
const PROMPT = 'ready> ';
const signal = AbortSignal.timeout(900_000);
let plane: ControlPlane;
let folder: string;
let shells: Readonly<
  Record<Shell, { readonly command: string; readonly env?: Readonly<Record<string, string>> }>
>;

beforeAll(async () => {
  plane = await ControlPlane.start(silentReporter, signal);
  await using access = ClusterAccess.load({ file: plane.kubeconfig });
  const client = new ApiClient(access);
  await installCrds(client, signal);
  const config = { kernel: { image: 'kernel:1' }, init: ['init:1'] };
  const image = { ...IMAGE, metadata: { name: 'web', namespace: 'default' }, spec: { config } };
  await client.create(IMAGES, image as unknown as ImageObject, { signal });

  folder = await mkdtemp(join(tmpdir(), 'completion-'));
  for (const name of ['bin', 'home', 'home/of mine', 'zsh']) await mkdir(join(folder, name));
  await writeFile(join(folder, 'home', 'kubeconfig-file'), '');
  // Completes as it does; what else it is called for is written down.
  const program = `#!/bin/sh
if [ "$1" = __complete ]; then exec ${process.execPath} ${MAIN} plugin "$@"; fi
printf '%s\\n' "$@" >${folder}/called.part && mv ${folder}/called.part ${folder}/called
`;
  await writeFile(join(folder, 'bin', 'kubectl-linuxkit'), program);
  await chmod(join(folder, 'bin', 'kubectl-linuxkit'), 0o755);
  shells = await startFiles();
}, 900_000);

afterAll(async () => {
  await plane.stop();
  await rm(folder, { recursive: true });
});

/** Writes what each shell reads when it starts. bash is this machine's; the others come as Debian has them. */
async function startFiles(): Promise<typeof shells> {
  const packages = new DebianPackages(join(cacheFolder(), 'debs'), signal);
  const names = ['zsh', 'zsh-common', 'fish', 'fish-common', 'libpcre2-32-0'];
  const [zsh = '', zshCommon = '', fish = '', fishCommon = '', pcre = ''] = await packages.unpackAll(names);
  const library = `usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;

  await writeFile(join(folder, 'bashrc'), `PS1='${PROMPT}'\n${completionScript('bash')}`);

  const functions = `${zshCommon}/usr/share/zsh/functions`;
  const places = `module_path=(${zsh}/${library}/zsh/5.9)\nfpath=(${functions}/**/*(/))\n`;
  const rc = `PROMPT='${PROMPT}'\nautoload -Uz compinit && compinit -u -D\n${completionScript('zsh')}`;
  await writeFile(join(folder, 'zsh', '.zshenv'), places);
  await writeFile(join(folder, 'zsh', '.zshrc'), rc);

  const fishPrompt = `function fish_prompt; echo -n '${PROMPT}'; end\nset -g fish_greeting\n`;
  const data = `set -g fish_function_path ${fishCommon}/usr/share/fish/functions\n`;
  await writeFile(join(folder, 'start.fish'), `${data}${fishPrompt}${completionScript('fish')}`);

  return {
    bash: { command: `bash --noprofile --rcfile ${folder}/bashrc -i` },
    zsh: { command: `${zsh}/bin/zsh -i`, env: { ZDOTDIR: join(folder, 'zsh') } },
    fish: {
      command: `${fish}/usr/bin/fish --no-config --init-command 'source ${folder}/start.fish' -i`,
      env: { LD_LIBRARY_PATH: `${pcre}/${library}` },
    },
  };
}

/** Types `kubectl-linuxkit KEYS` and Enter, and gives the arguments that the shell then runs it with. */
async function called(shell: Shell, keys: string): Promise<readonly string[]> {
  const { command, env } = shells[shell];
  await rm(join(folder, 'called'), { force: true });
  const terminal = spawn('script', ['--quiet', '--flush', '--return', '--command', command, '/dev/null'], {
    cwd: join(folder, 'home'),
    env: {
      ...env,
      PATH: `${join(folder, 'bin')}:${process.env['PATH']}`,
      HOME: join(folder, 'home'),
      TERM: 'xterm',
      LC_ALL: 'C.UTF-8',
      KUBECONFIG: plane.kubeconfig,
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let shown = '';
  terminal.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
  });
  const ended = once(terminal, 'close');
  const limit = { signal, timeout: 20_000 };
  try {
    await waitFor(`the prompt of ${shell}`, () => shown.includes(PROMPT), limit);
    terminal.stdin.write(`kubectl-linuxkit ${keys}\r`);
    const words = await waitFor(
      `${shell} to run the command`,
      async () => await readFile(join(folder, 'called'), 'utf8'),
      limit,
    );
    terminal.stdin.write('exit\r');
    await ended;
    // zsh takes back the slash that it puts after a folder when nothing follows it.
    return words
      .trimEnd()
      .split('\n')
      .map((word) => word.replace(/\/$/, ''));
  } catch (error) {
    terminal.kill();
    throw new Error(`${shell} showed ${JSON.stringify(shown.slice(-2000))}`, { cause: error });
  }
}

describe.each<Shell>(['bash', 'zsh', 'fish'])('%s completes', (shell) => {
  test.each([
    ['a subcommand', 'hist\tweb', ['history', 'web']],
    ['the name of an image in the cluster', 'logs w\t', ['logs', 'web']],
    ['an option', 'status --all-n\t', ['status', '--all-namespaces']],
    ['what an argument can be', 'completion z\t', ['completion', 'zsh']],
    ['the value of an option', 'status -o j\t', ['status', '-o', 'json']],
    ['the value of an option after its =', 'status --output=j\t', ['status', '--output=json']],
    ['a folder, blanks and all', 'download web --to of\t', ['download', 'web', '--to', 'of mine']],
    ['a file after an =', 'status --kubeconfig=kube\t', ['status', '--kubeconfig=kubeconfig-file']],
  ])('%s', async (_, keys, words) => {
    expect(await called(shell, keys)).toEqual(words);
  });
});
