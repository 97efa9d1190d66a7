/** The machine's multiply-add limit for 128-bit vectors, and how near matmul comes to it: `npx tsx bench/peak.ts`. */
import { pathToFileURL } from 'node:url'
import type { LinearMemory } from '../src/backend/backend.ts'
import { I32, instantiate, ModuleBuilder, V128 } from '../src/backend/wasm/assembler.ts'
import { wasmFeatures } from '../src/backend/wasm/features.ts'
import { compileMatmul, matmulWork } from '../src/backend/wasm/matmul.ts'

type FloatType = 'float32' | 'float64'

/** Seconds of the fastest of several runs, after a warm-up, within about `budget` seconds. */
function fastest(run: () => void, budget: number): number {
  let best = Infinity
  const end = performance.now() + budget * 1000
  run()
  do {
    const start = performance.now()
    run()
    best = Math.min(best, performance.now() - start)
  } while (performance.now() < end)
  return best / 1000
}

/** GFLOP/s of the best of several register-only loops of independent multiply-adds. */
export function fmaPeak(dtype: FloatType): number {
  const { relaxed } = wasmFeatures()
  let peak = 0
  for (const chains of [12, 13, 14, 16]) {
    const module = new ModuleBuilder()
    module.func(
      [I32],
      [I32],
      (f, n) => {
        const v = dtype === 'float32' ? f.f32x4 : f.f64x2
        const acc = f.locals(V128, chains)
        const x = f.local(V128)
        f.set(x, f.f32x4.const(0))
        f.while(
          () => f.get(n),
          () => {
            for (let u = 0; u < 4; u++) {
              for (const a of acc) {
                if (relaxed) f.set(a, v.relaxed_madd(f.get(x), f.get(x), f.get(a)))
                else f.set(a, v.add(f.get(a), v.mul(f.get(x), f.get(x))))
              }
            }
            f.set(n, f.i32.sub(f.get(n), f.i32.const(1)))
          },
        )
        f.get(acc[0]!)
        for (const a of acc.slice(1)) f.v128.xor(undefined, f.get(a))
        f.i32x4.extract_lane(0)
      },
      'run',
    )
    const run = instantiate(module.encode(), undefined)['run']!
    const turns = 20000
    const seconds = fastest(() => run(turns), 0.15)
    peak = Math.max(peak, (turns * 4 * chains * 2 * (dtype === 'float32' ? 4 : 2)) / seconds / 1e9)
  }
  return peak
}

/** GB/s of the better one of a loop over vectors and `memory.copy`, reads and writes counted, for copies larger than the caches of a core. */
export function copyBandwidth(bytes: number = 16 << 20): number {
  const pages = Math.ceil((2 * bytes) / 65536) + 1
  const module = new ModuleBuilder({ shared: true, initial: pages, maximum: pages })
  module.func(
    [I32, I32, I32],
    [],
    (f, to, from, count) => {
      f.while(
        () => f.get(count),
        () => {
          for (let u = 0; u < 4; u++) f.v128.store(f.get(to), f.v128.load(f.get(from), 16 * u), 16 * u)
          f.set(to, f.i32.add(f.get(to), f.i32.const(64)))
          f.set(from, f.i32.add(f.get(from), f.i32.const(64)))
          f.set(count, f.i32.sub(f.get(count), f.i32.const(64)))
        },
      )
    },
    'loop',
  )
  module.func([I32, I32, I32], [], (f, to, from, count) => f.memoryCopy(f.get(to), f.get(from), f.get(count)), 'copy')
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
  const { loop, copy } = instantiate(module.encode(), memory)
  // What was never written is one page of zeros to the system, read from the first-level cache.
  new Uint8Array(memory.buffer).fill(1)
  const times = [loop!, copy!].map((run) => fastest(() => run(65536 + bytes, 65536, bytes), 0.3))
  return (2 * bytes) / Math.min(...times) / 1e9
}

/** GFLOP/s of C = A·B for contiguous matrices, B read as it is or transposed. */
export function matmulSpeed(
  dtype: FloatType,
  m: number,
  n: number,
  k: number,
  transposed = false,
  relaxed: boolean = wasmFeatures().relaxed,
): number {
  const width = dtype === 'float32' ? 4 : 8
  const aligned = (bytes: number): number => Math.ceil(bytes / 64) * 64
  const a = 65536
  const b = a + aligned(m * k * width)
  const c = b + aligned(k * n * width)
  const work = c + aligned(m * n * width)
  const pages = Math.ceil((work + matmulWork(dtype, m, n, k)) / 65536)
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
  const { buffer } = memory
  const linear: LinearMemory = {
    memory,
    buffer,
    u8: new Uint8Array(buffer),
    i32: new Int32Array(buffer),
    u32: new Uint32Array(buffer),
    f32: new Float32Array(buffer),
    f64: new Float64Array(buffer),
    scratch: 0,
  }
  const view = dtype === 'float32' ? linear.f32 : linear.f64
  for (let i = a / width; i < c / width; i++) view[i] = Math.random() - 0.5
  const run = compileMatmul(linear, dtype, relaxed)
  const [row, col] = transposed ? [1, k] : [n, 1]
  const repeat = Math.ceil(2e5 / (m * n * k))
  const seconds = fastest(
    () => {
      for (let i = 0; i < repeat; i++) run(1, m, n, k, a, 0, k, 1, b, 0, row, col, c, 0, 0, work)
    },
    Math.max(0.2, (m * n * k * 2 * 4) / 2e10),
  )
  return (2 * m * n * k * repeat) / seconds / 1e9
}

function main(): void {
  for (const dtype of ['float32', 'float64'] as const) {
    const peak = fmaPeak(dtype)
    console.log(`${dtype}: multiply-add peak ${peak.toFixed(1)} GFLOP/s`)
    const shapes: [number, number, number][] = [64, 128, 256, 512, 1024].map((n) => [n, n, n])
    if (process.argv.includes('--shapes')) {
      shapes.push(
        [1, 16, 2],
        [8, 8, 8],
        [16, 16, 16],
        [32, 32, 32],
        [64, 64, 32],
        [64, 10, 128],
        [64, 128, 784],
        [784, 128, 64],
        [256, 512, 784],
        [256, 10, 512],
        [10, 512, 256],
        [1, 1000, 1000],
        [1000, 1, 1000],
        [4, 512, 512],
      )
    }
    for (const [m, n, k] of shapes) {
      const speed = matmulSpeed(dtype, m, n, k)
      const turned = matmulSpeed(dtype, m, n, k, true)
      const time = (s: number): string => `${((2 * m * n * k) / s / 1000).toFixed(m * n * k < 1e6 ? 2 : 0)} µs`
      const show = (s: number): string => `${s.toFixed(1)} (${((100 * s) / peak).toFixed(0)} %, ${time(s)})`
      console.log(`  ${m}×${k}·${k}×${n}`.padEnd(24), 'A·B', show(speed).padEnd(30), 'A·Bᵀ', show(turned))
    }
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) main()
