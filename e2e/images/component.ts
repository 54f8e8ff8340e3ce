import type { ImageSource } from './oci-writer.ts';
import type { Workshop } from './workshop.ts';

/** How one component image is made. */
export interface Component {
  /** Repository and tag, such as `linuxkit/runc` and `1.1`. */
  readonly repository: string;
  readonly tag: string;
  /** The module that describes it (`import.meta.url`): when it changes, the image is made again. */
  readonly recipe: string;
  /** Debian packages whose new versions make a new image. */
  readonly packages: readonly string[];
  /** Paths below `guest/` that go into it. */
  readonly guest?: readonly string[];
  /** `scratch` is an empty folder that lasts until the image is written. */
  make(workshop: Workshop, scratch: string): Promise<ImageSource>;
}

/** The label in which LinuxKit's builder looks for an image's default settings. */
export function linuxkitDefaults(
  settings: Readonly<Record<string, unknown>>,
): Readonly<Record<string, string>> {
  return { 'org.mobyproject.config': JSON.stringify(settings) };
}
