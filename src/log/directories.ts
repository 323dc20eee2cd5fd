/** The write-ahead log's files and their indexes. */
export function walDirectory(dataDir: string): string {
  return `${dataDir}/wal`
}

export function checkpointDirectory(dataDir: string): string {
  return `${dataDir}/checkpoints`
}
