/** Others use the store meanwhile. */
export const DELETES_AT_ONCE = 8

/** The results in the order of the items; so many at the same time. The first failure ends it when those under way have ended. */
export async function mapAtOnce<T, R>(
  items: readonly T[],
  atOnce: number,
  call: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  let next = 0
  let failure: { thrown: unknown } | null = null
  const work = async (): Promise<void> => {
    while (next < items.length && failure === null) {
      const index = next++
      try {
        results[index] = await call(items[index]!)
      } catch (thrown) {
        failure ??= { thrown }
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, work))
  if (failure !== null) throw (failure as { thrown: unknown }).thrown
  return results
}
