import type { Disk, DiskFile } from '#base/ports.ts'

/** Takes everything and keeps nothing: for what the product itself holds in memory. Reads find zeros. */
export const forgetfulDisk: Disk = {
  open: async path => fileAt(path),
  createFilled: async () => {},
  createFrom: async () => {},
  list: async () => [],
  facts: async () => null,
  makeDirectory: async () => {},
  removeDirectory: async () => true,
  rename: async () => {},
  link: async () => {},
  remove: async () => {},
  syncDirectory: async () => {},
  space: async () => ({ totalBytes: 2 ** 50, freeBytes: 2 ** 50 }),
}

function fileAt(path: string): DiskFile {
  return {
    path,
    sizeBytes: async () => 0,
    read: async (into, from, length) => {
      into.fill(0, from, from + length)
      return length
    },
    write: async () => {},
    writePieces: async () => {},
    writePiecesSync: () => {},
    sync: async () => {},
    syncSync: () => {},
    truncate: async () => {},
    close: async () => {},
  }
}
