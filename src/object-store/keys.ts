import { assert } from '#base/assert.ts'

// What names an object: components with `/` between them, which every file system and every service takes as they are. No key is
// the directory of another: a file system could not keep both.

export const MAX_KEY_BYTES = 900
/** A list is asked for so many at a time: what the services give at most. */
export const LIST_PAGE_OBJECTS = 1000
/** File systems take 255. */
const MAX_COMPONENT_BYTES = 250

const COMPONENT = /^(?!\.{1,2}$)[A-Za-z0-9._=-]+$/

export function isKey(text: string): boolean {
  return text.length <= MAX_KEY_BYTES && text.split('/').every(isComponent)
}

export function assertKey(key: string): void {
  assert(isKey(key), `a key of an object is not ${key}`)
}

function isComponent(text: string): boolean {
  return text.length <= MAX_COMPONENT_BYTES && COMPONENT.test(text)
}

/** Keys are compared by their bytes, which for theirs is by their characters. */
export function compareKeys(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}
