// What a check of stored bytes says, as it goes. Who checks knows nothing of who is told.

/** Records of a partition. */
export interface RecordRange {
  readonly topic: string
  readonly partition: number
  readonly fromOffset: number
  /** Behind the last one. */
  readonly toOffset: number
}

export interface Finding {
  /** `damage`: something is not as it was stored. `notice`: worth knowing; nothing is wrong. */
  readonly kind: 'damage' | 'notice'
  /** The file or the object. */
  readonly where: string
  /** Which one, what is wrong with it, and what to do. */
  readonly message: string
  /** Records that are lost with it, as far as that is known. */
  readonly affected: readonly RecordRange[]
}

export interface Inspector {
  /** Throws if nobody wants to know any more. */
  readonly signal: AbortSignal
  found(finding: Finding): void
  /** What comes now, and how much of it there is about; 0 if that is not known. */
  begins(stage: string, totalBytes: number): void
  /** So much was looked at. */
  passed(sizeBytes: number): void
}
