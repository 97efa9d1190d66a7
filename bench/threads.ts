/**
 * One thread against two on the same work, interleaved in one process: `node --import tsx bench/threads.ts`. Prints the times of
 * the fastest runs and the ratios of minima and of medians. Only a quiet machine with two cores gives figures worth keeping.
 */
import { manualSeed, randn, scope, setNumThreads, type Tensor } from '../src/index.ts'
import { threadTeam } from '../src/threads/threads.ts'

manualSeed(0)
setNumThreads(2)
const team = threadTeam()!
const pool = team.pool!
while (pool.ready < 1) await new Promise((done) => setTimeout(done, 5))

function compare(name: string, work: () => Tensor, runs: number): void {
  const times: [number[], number[]] = [[], []]
  const run = (): void => void scope(() => void work())
  for (let i = 0; i < 10; i++) run()
  for (let i = 0; i < runs; i++) {
    for (const threads of [1, 2] as const) {
      team.threads = threads
      team.pool = threads === 1 ? null : pool
      const from = performance.now()
      run()
      times[threads - 1]!.push(performance.now() - from)
    }
  }
  const [one, two] = times.map((t) => t.sort((a, b) => a - b)) as [number[], number[]]
  const middle = runs >> 1
  console.log(
    name.padEnd(20),
    `${one[0]!.toFixed(3)} ms, ${two[0]!.toFixed(3)} ms`.padEnd(24),
    `min ${(one[0]! / two[0]!).toFixed(2)}, median ${(one[middle]! / two[middle]!).toFixed(2)}`,
  )
}

for (const dtype of ['float32', 'float64'] as const) {
  for (const n of [128, 256, 512, 1024]) {
    const a = randn([n, n], { dtype })
    const b = randn([n, n], { dtype })
    compare(`matmul ${n} ${dtype}`, () => a.matmul(b), n > 512 ? 15 : 40)
  }
}
for (const bits of [19, 20, 22, 24]) {
  const a = randn([2 ** bits])
  const b = randn([2 ** bits])
  const runs = bits > 22 ? 15 : 40
  compare(`add 2^${bits}`, () => a.add(b), runs)
  compare(`exp 2^${bits}`, () => a.exp(), runs)
  compare(`sum 2^${bits}`, () => a.sum(), runs)
}
