/**
 * What has changed in the engine that changes what it makes of the same inputs. Each mended bug or
 * new rule of that sort adds a line; nothing is ever removed. The list is part of the inputs' hash and
 * of every cached member's key, so that results of older engines are made anew.
 */
export const ENGINE_SALTS: readonly string[] = ['2026-01 first rules'];
