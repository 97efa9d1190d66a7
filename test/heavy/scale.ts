/** The graphs behind scale.test.ts, differentiated at growing sizes; prints microseconds and live bytes per operation as JSON. */
import * as torch from '../../src/index.ts'
import { collector } from '../../src/memory/collector.ts'

const [what = 'chain', most = '6'] = process.argv.slice(2)

const leaves = (n: number): torch.Tensor[] => Array.from({ length: n }, () => torch.ones([1], { requiresGrad: true }))

function build(n: number): { root: torch.Tensor; check: torch.Tensor; expected: number } {
  if (what === 'chain') {
    const x = torch.tensor([1], { requiresGrad: true })
    let h = x.mul(1)
    for (let i = 1; i < n; i++) h = i % 2 === 0 ? h.mul(1) : h.add(0.5)
    return { root: h, check: x, expected: 1 }
  }
  const all = leaves(n)
  const check = all[n >> 1]!
  if (what === 'adds') {
    let sum = all[0]!
    for (let i = 1; i < n; i++) sum = sum.add(all[i]!)
    return { root: sum, check, expected: 1 }
  }
  const joined = what === 'cat' ? torch.cat(all) : torch.stack(all)
  return { root: joined.mul(3).sum(), check, expected: 3 }
}

function time(n: number): number {
  const start = performance.now()
  const { root, check, expected } = build(n)
  root.backward()
  const took = performance.now() - start
  if (check.grad!.item() !== expected) throw new Error(`${what} of ${n}: ${check.grad!.item()}, expected ${expected}`)
  return (took * 1000) / n
}

for (let i = 0; i < 200; i++) time(200)
const costs: Record<string, number> = {}
for (let e = 2; e <= Number(most); e++) {
  const n = 10 ** e
  costs[`1e${e}`] = Math.min(...Array.from({ length: Math.max(2, Math.min(100, 1e5 / n)) }, () => time(n)))
}
/** What lives, on the JavaScript heap and in linear memory. */
const alive = (): number => {
  collector().sweep()
  return process.memoryUsage().heapUsed + torch.memoryStats().used
}
const before = alive()
const kept = build(1e5)
const bytes = (alive() - before) / 1e5
console.log(JSON.stringify({ costs, bytes, shape: kept.root.shape }))
