/** Waits for something that another process or a socket will do; fails with `what` when the deadline has passed. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, deadlineMs = 30_000) {
  const giveUpAt = performance.now() + deadlineMs
  while (!(await condition())) {
    if (performance.now() > giveUpAt) throw new Error(`did not happen within ${deadlineMs} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}
