import { describe, expect, it } from 'vitest';
import { directory, file } from '../linuxkit/entries.ts';
import { type GeneratedEntry, generatedIndex, mergeGenerated, plannedEntry } from './generated.ts';

const folder = (path: string, implied: boolean, mode = 0o755): GeneratedEntry => ({
  entry: plannedEntry(directory(path, mode, implied)),
  implied,
});
const text = (path: string, contents: string): GeneratedEntry => ({
  entry: plannedEntry(file(path, contents)),
  implied: false,
});

describe('mergeGenerated', () => {
  it('lets later entries replace earlier ones', () => {
    const merged = mergeGenerated([text('b', 'old'), folder('a', false), text('b', 'new')]);
    expect(merged.map(({ entry }) => entry.path)).toEqual(['a', 'b']);
    expect(merged[1]?.entry).toMatchObject({ content: [Buffer.from('new')] });
  });

  it('lets a directory that nobody asked for replace nothing', () => {
    const merged = mergeGenerated([folder('etc', false, 0o711), folder('etc', true, 0o700)]);
    expect(merged).toMatchObject([{ implied: false, entry: { mode: 0o711 } }]);
  });

  it('lets one that was asked for replace it', () => {
    const merged = mergeGenerated([folder('etc', true, 0o700), folder('etc', false, 0o711)]);
    expect(merged).toMatchObject([{ implied: false, entry: { mode: 0o711 } }]);
  });

  it('is indexed with the difference', () => {
    expect(generatedIndex([folder('a', true), folder('b', false), text('b/c', '')])).toEqual([
      { path: 'a', type: 'implied' },
      { path: 'b', type: 'directory' },
      { path: 'b/c', type: 'file' },
    ]);
  });
});
