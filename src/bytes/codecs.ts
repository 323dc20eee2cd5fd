// The codecs of Kafka: their names in topic configs (`compression.type`) and, as indexes, their numbers in record batches.

export const CODEC_NAMES = ['uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'] as const

export type CodecName = (typeof CODEC_NAMES)[number]

export const UNCOMPRESSED = 0
export const GZIP = 1
export const SNAPPY = 2
export const LZ4 = 3
export const ZSTD = 4
