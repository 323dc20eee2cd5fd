import { ChronikError } from '#base/errors.ts'

export class InvalidCompression extends ChronikError {
  constructor(reason: string, options?: { cause?: unknown }) {
    super('INVALID_COMPRESSION', 'invalid', `Compressed bytes cannot be read: ${reason}`, options)
  }
}

export class OutputTooLarge extends ChronikError {
  constructor(maxOutputBytes: number) {
    super('OUTPUT_TOO_LARGE', 'invalid', `Compressed bytes stand for more than the ${maxOutputBytes} bytes allowed`)
  }
}
