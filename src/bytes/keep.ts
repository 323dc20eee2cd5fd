/**
 * Copies that stay, together in memory of their own. Out of the pool that short-lived buffers come from, a few bytes that stay
 * would hold 64 KiB.
 */
export function keepTogether(views: readonly Uint8Array[]): Buffer[] {
  const memory = Buffer.allocUnsafeSlow(views.reduce((sum, { length }) => sum + length, 0))
  let end = 0
  return views.map(view => {
    const start = end
    end += view.length
    memory.set(view, start)
    return memory.subarray(start, end)
  })
}
