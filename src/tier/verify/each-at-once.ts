/** Calls for each item, so many at the same time. The first failure ends it when those under way have ended. */
export async function eachAtOnce<T>(
  items: AsyncIterable<T>,
  atOnce: number,
  call: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.asyncIterator]()
  let failure: { thrown: unknown } | null = null
  const work = async (): Promise<void> => {
    while (failure === null) {
      try {
        const next = await iterator.next()
        if (next.done === true) return
        await call(next.value)
      } catch (thrown) {
        failure ??= { thrown }
      }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  if (failure === null) return
  await iterator.return?.()
  throw (failure as { thrown: unknown }).thrown
}
