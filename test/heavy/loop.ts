/** The loops behind memory.test.ts; prints one line of JSON. */
import { kernelCount } from '../../src/execute.ts'
import * as torch from '../../src/index.ts'
import { collector } from '../../src/memory/collector.ts'
import { RandomProgram } from '../memory/programs.ts'

const [what = 'train', count = '1000', ballast = '0'] = process.argv.slice(2)
const steps = Number(count)

const kept: unknown[] = []
for (let i = 0; i < Number(ballast) * 10_000; i++) kept.push({ a: i, b: [i, i + 1] })

const wave = (shape: number[]): torch.Tensor => {
  const n = shape.reduce((a, b) => a * b, 1)
  return torch
    .tensor(Float32Array.from({ length: n }, (_, i) => Math.sin(i * 12.9) * 0.3))
    .reshape(shape)
    .clone()
}
const rss: number[] = []
/** Processor time, of all threads, in milliseconds. */
const worked = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
let sweepWork = 0
const c = collector()
for (const kind of ['sweep', 'sweepYoung'] as const) {
  const sweep = c[kind].bind(c)
  c[kind] = () => {
    const from = worked()
    sweep()
    sweepWork += worked() - from
  }
}
const start = performance.now()
const startWork = worked()
let before = 0

if (what === 'keep') {
  for (let step = 0; step < steps; step++) {
    for (let i = 0; i < 64; i++) {
      const t = torch.full([256], step)
      if (i === 0) kept.push(t)
    }
  }
  c.sweep()
} else if (what === 'scalars') {
  const x = torch.tensor([1, 2, 3], { requiresGrad: true })
  const round = (s: number): void => {
    x.mul(s)
      .add(s)
      .pow(s)
      .clamp({ min: -s, max: 1e9 * s })
      .div(s)
      .sub(s)
      .sum()
      .backward()
    x.grad = null
  }
  round(1.5)
  before = kernelCount()
  for (let i = 0; i < steps; i++) round(1.2512345 + i / steps)
} else if (what === 'programs') {
  c.heap.poison = true
  for (let seed = 1000; seed < 1000 + steps; seed++) new RandomProgram(seed).run(120)
} else if (what === 'stressed') {
  torch.configureMemory({ stress: true })
  for (let seed = 2000; seed < 2000 + steps; seed++) new RandomProgram(seed).run(40)
} else {
  // Sixteen examples leave 3 KB a step to be collected, sixty-four 20 KB.
  const [batch, width] = what === 'narrow' ? [16, 16] : [64, 24]
  const p = [wave([2, width]), wave([width]), wave([width, 1]), wave([1])].map((t) => t.requiresGrad_())
  const [w1, b1, w2, b2] = p as [torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
  const x = wave([batch, 2])
  const y = wave([batch, 1])
  const step = (): void => {
    const d = x.matmul(w1).add(b1).tanh().matmul(w2).add(b2).sub(y)
    d.mul(d).mean().backward()
    torch.noGrad(() => {
      for (const t of p) {
        t.sub_(t.grad!, { alpha: 1e-3 })
        t.grad = null
      }
    })
  }
  for (let i = 0; i < steps; i++) {
    if (what === 'scope') torch.scope(step)
    else step()
    if (i % (steps / 20) === 0) rss.push(process.memoryUsage().rss)
  }
}
const { sweepTime, sweeps, youngSweeps, used } = torch.memoryStats()
console.log(
  JSON.stringify({
    rss,
    seconds: (performance.now() - start) / 1000,
    sweepTime,
    work: worked() - startWork,
    sweepWork,
    sweeps: sweeps + youngSweeps,
    used,
    kernels: kernelCount() - before,
    kept: kept.length,
  }),
)
