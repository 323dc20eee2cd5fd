import { compressOffThread, decompressOffThread } from '#bytes/compression.ts'
import type { ArchiveCodec, Packer, Unpack } from './archive-format.ts'

/** In the thread pool: a checkpoint may have many megabytes. */
export function packerOf(codec: ArchiveCodec): Packer {
  return { codec, pack: content => compressOffThread(codec, content) }
}

export const unpack: Unpack = (codec, packed, contentBytes) =>
  decompressOffThread(codec, packed, 0, packed.length, contentBytes)
