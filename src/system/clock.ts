import type { Clock, Timer } from '#base/ports.ts'

// Node fires a timer at once when its delay does not fit 31 bits.
const LONGEST_TIMER_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: startTimer,
  soon: call => {
    setImmediate(call)
  },
}

function startTimer(delayMs: number, call: () => void): Timer {
  let timer: NodeJS.Timeout
  const arm = (leftMs: number) => {
    const stepMs = Math.min(leftMs, LONGEST_TIMER_MS)
    timer = setTimeout(() => (leftMs > stepMs ? arm(leftMs - stepMs) : call()), stepMs).unref()
  }
  arm(delayMs)
  return { cancel: () => clearTimeout(timer) }
}

/** The process does not end before the work has, even if nothing but time has to pass: no other timer here keeps it. */
export async function staying<T>(work: Promise<T>): Promise<T> {
  const timer = setInterval(() => {}, LONGEST_TIMER_MS)
  try {
    return await work
  } finally {
    clearInterval(timer)
  }
}

/** Waits for work, but no longer than so long. */
export function atMost(delayMs: number, work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, delayMs)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/** Aborted after the delay, for calls of Node that take a signal. */
export function abortAfter(delayMs: number): AbortSignal {
  return AbortSignal.timeout(delayMs)
}
