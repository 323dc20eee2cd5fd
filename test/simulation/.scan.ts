import { simulate } from '#test/simulation/simulate.ts'
const [from, count] = process.argv.slice(2).map(Number)
const kinds = new Map<string, { seeds: number[]; text: string }>()
let ok = 0
const total: Record<string, number> = {}
const t0 = performance.now()
for (let seed = from!; seed < from! + count!; seed++) {
  try { const r = await simulate(seed); ok++; for (const [k,v] of Object.entries(r.counts)) total[k]=(total[k]??0)+v }
  catch (e) {
    const text = (e as Error).message
    const key = text.split('\n').slice(0, 2).join(' ').replace(/\d+/g, 'N').slice(0, 200)
    const k = kinds.get(key) ?? { seeds: [], text }
    k.seeds.push(seed); kinds.set(key, k)
  }
}
console.log('ok', ok, 'ms/seed', ((performance.now() - t0) / count!).toFixed(1), JSON.stringify(total))
for (const [key, { seeds, text }] of [...kinds].sort((a,b)=>b[1].seeds.length-a[1].seeds.length)) console.log(seeds.length, key, seeds.slice(0, 12).join())
