import { ChronikError } from '#base/errors.ts'
import { abortedWith } from '#base/linked-abort.ts'
import type { Clock } from '#base/ports.ts'

/** Lets a call to the store take so long, and no longer than until the end of who asks. */
export async function withPatience<T>(
  { clock, ended, patienceMs }: { clock: Clock; ended: AbortSignal; patienceMs: number },
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const patience = abortedWith(ended)
  const timer = clock.after(patienceMs, () => patience.abort())
  try {
    return await call(patience.signal)
  } catch (cause) {
    if (!patience.signal.aborted || ended.aborted) throw cause
    const message = `the object store did not answer within ${Math.round(patienceMs / 1000)} s`
    throw new ChronikError('STORE_UNAVAILABLE', 'unavailable', message, { cause })
  } finally {
    timer.cancel()
    patience.letGo()
  }
}
