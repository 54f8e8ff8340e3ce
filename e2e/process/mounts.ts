import { readFile } from 'node:fs/promises';

/** Mount points in the form of /proc/PID/mountinfo, proc(5), that lie at or below `folder`; deepest first. */
export function parseMountPoints(mountinfo: string, folder: string): readonly string[] {
  const points: string[] = [];
  for (const line of mountinfo.split('\n')) {
    const field = line.split(' ')[4];
    if (field === undefined) continue;
    // Blanks, tabs, newlines and backslashes are written as three octal digits.
    const point = field.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 8)),
    );
    if (point === folder || point.startsWith(`${folder}/`)) points.push(point);
  }
  return points.toSorted((a, b) => b.length - a.length);
}

/** This process's mount points at or below `folder`, deepest first. */
export async function mountPointsBelow(folder: string): Promise<readonly string[]> {
  return parseMountPoints(await readFile('/proc/self/mountinfo', 'utf8'), folder);
}
