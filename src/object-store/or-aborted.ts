/** What a promise gives, or the reason of the signal as soon as that is aborted: `late` is told what then comes all the same. */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal, late: (value: T) => void = () => {}): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(signal.reason)
      work.then(late, () => {})
    }
    if (signal.aborted) {
      abort()
      return
    }
    signal.addEventListener('abort', abort, { once: true })
    const settled = (): void => signal.removeEventListener('abort', abort)
    work.then(
      value => {
        settled()
        resolve(value)
      },
      (thrown: unknown) => {
        settled()
        reject(thrown)
      },
    )
  })
}
