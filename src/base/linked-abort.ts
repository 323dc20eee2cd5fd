/** A signal of its own that is aborted with others, too, until it is let go. */
export interface LinkedAbort {
  readonly signal: AbortSignal
  abort(reason?: unknown): void
  letGo(): void
}

/** In place of AbortSignal.any, for which Node 20 keeps something with the others for as long as they live. */
export function abortedWith(...others: AbortSignal[]): LinkedAbort {
  const own = new AbortController()
  const follow = others.map(other => () => own.abort(other.reason))
  for (const [i, other] of others.entries()) {
    if (other.aborted) own.abort(other.reason)
    else other.addEventListener('abort', follow[i]!, { once: true })
  }
  return {
    signal: own.signal,
    abort: reason => own.abort(reason),
    letGo() {
      for (const [i, other] of others.entries()) other.removeEventListener('abort', follow[i]!)
    },
  }
}
