// Times one kernel: calls `run`, which handles `items` items of `bytes` bytes together, for 5 ms, a hundred times
// over, and prints the time of an item in the best of them (other load on the machine only adds) and the throughput.

const ROUNDS = 100
const ROUND_MS = 5

export function measure(name: string, work: { items: number; bytes: number }, run: () => void): number {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now()
    let calls = 0
    while (performance.now() - start < ROUND_MS) {
      for (let i = 0; i < 16; i++) run()
      calls += 16
    }
    best = Math.min(best, ((performance.now() - start) * 1e6) / (calls * work.items))
  }
  const gigabytesPerSecond = work.bytes / work.items / best
  console.log(
    `${name.padEnd(52)} ${best.toFixed(1).padStart(10)} ns/item ${gigabytesPerSecond.toFixed(2).padStart(7)} GB/s`,
  )
  return best
}
