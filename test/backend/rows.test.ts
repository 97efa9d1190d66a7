/** Softmax, cross-entropy, normalization and folded expressions in WebAssembly against the reference's plain loops. */
import { expect, test } from 'vitest'
import type { Backend, FloatType, LinearMemory } from '../../src/backend/backend.ts'
import { attention, attentionBackward, attentionDot } from '../../src/backend/jobs/attention.ts'
import { crossEntropy, crossEntropyBackward } from '../../src/backend/jobs/crossEntropy.ts'
import { fold } from '../../src/backend/jobs/fold.ts'
import { batchNorm, batchNormBackward, layerNorm, layerNormBackward } from '../../src/backend/jobs/norm.ts'
import { logSoftmaxJobs, softmaxJobs } from '../../src/backend/jobs/softmax.ts'
import { createReferenceBackend } from '../../src/backend/reference/reference.ts'
import { input, Program, type Scalar, scalar } from '../../src/backend/scalar.ts'
import { createWasmBackend } from '../../src/backend/wasm/wasm.ts'

const memory = new WebAssembly.Memory({ initial: 64, maximum: 64, shared: true })
const linear: LinearMemory = {
  memory,
  buffer: memory.buffer,
  u8: new Uint8Array(memory.buffer),
  i32: new Int32Array(memory.buffer),
  u32: new Uint32Array(memory.buffer),
  f32: new Float32Array(memory.buffer),
  f64: new Float64Array(memory.buffer),
  scratch: 61440,
}
const reference = createReferenceBackend(linear)
const backends: [string, Backend][] = [
  ['relaxed', createWasmBackend(linear)!],
  ['strict', createWasmBackend(linear, { strict: true })!],
]
const SPACE = 262144
/** The k-th array. */
const place = (k: number): number => 65536 + k * SPACE
const SHAPES: readonly (readonly [number, number, number])[] = [
  [1, 1, 1],
  [3, 1, 1],
  [2, 10, 1],
  [3, 37, 1],
  [1, 1000, 1],
  [0, 3, 1],
  [2, 3, 2],
  [2, 5, 3],
  [2, 7, 4],
  [2, 6, 5],
  [1, 3, 9],
  [2, 4, 19],
  [2, 0, 3],
]

const cases = backends.flatMap(([name, backend]) => (['float32', 'float64'] as const).map((dtype) => [name, dtype, backend] as const))

const jobsOf = (op: 'softmax' | 'logSoftmax') => (op === 'softmax' ? softmaxJobs : logSoftmaxJobs)

/** Fills array k with numbers of a sequence. */
function fill(dtype: FloatType, k: number, n: number, from = -2, to = 2): void {
  const view = dtype === 'float32' ? linear.f32 : linear.f64
  const bytes = dtype === 'float32' ? 4 : 8
  for (let i = 0; i < n; i++) view[place(k) / bytes + i] = from + (((i * 7919 + k * 31) % 101) / 101) * (to - from)
}

/** What arrays hold after each of two runs. */
function both(dtype: FloatType, arrays: readonly [number, number][], run: (backend: Backend) => void, backend: Backend): void {
  const view = dtype === 'float32' ? linear.f32 : linear.f64
  const bytes = dtype === 'float32' ? 4 : 8
  const results = [reference, backend].map((b) => {
    for (const [k, n] of arrays) view.fill(77, place(k) / bytes, place(k) / bytes + n + 8)
    run(b)
    return arrays.map(([k, n]) => [...view.subarray(place(k) / bytes, place(k) / bytes + n + 8)])
  })
  results[0]!.forEach((expected, a) => {
    const scale = Math.max(1, ...expected.filter((v) => Number.isFinite(v)).map(Math.abs))
    results[1]![a]!.forEach((v, i) => {
      const e = expected[i]!
      const near = Number.isFinite(e) ? Math.abs(v - e) <= (dtype === 'float32' ? 1.5e-6 : 1e-14) * scale : Object.is(v, e)
      if (!near) expect.fail(`array ${a}, element ${i}: ${v}, not ${e}`)
    })
  })
}

test.each(cases)('softmax and its logarithm, %s %s', (_, dtype, backend) => {
  for (const op of ['softmax', 'logSoftmax'] as const) {
    for (const [outer, n, inner] of SHAPES) {
      const size = outer * n * inner
      fill(dtype, 0, size, -30, 30)
      fill(dtype, 1, size, op === 'softmax' ? 0 : -3, op === 'softmax' ? 1 : 0)
      both(dtype, [[2, size]], (b) => b.job(jobsOf(op).forward, dtype)(outer, n, inner, place(0), place(2)), backend)
      both(dtype, [[2, size]], (b) => b.job(jobsOf(op).backward, dtype)(outer, n, inner, place(0), place(1), place(2)), backend)
    }
  }
})

test.each(cases)('softmax of infinities and NaN, %s %s', (_, dtype, backend) => {
  const view = dtype === 'float32' ? linear.f32 : linear.f64
  const at = place(0) / (dtype === 'float32' ? 4 : 8)
  for (const row of [
    [-Infinity, 1, 2, -1000, 800],
    [-Infinity, -Infinity, -Infinity, -Infinity, -Infinity],
    [Infinity, 1, 2, 3, 4],
    [1, Number.NaN, 2, 3, 4],
    [Number.NaN, 1, 2, 3, 4],
  ]) {
    view.set(row, at)
    for (const op of ['softmax', 'logSoftmax'] as const) {
      both(dtype, [[2, 5]], (b) => b.job(jobsOf(op).forward, dtype)(1, 5, 1, place(0), place(2)), backend)
      both(dtype, [[2, 5]], (b) => b.job(jobsOf(op).forward, dtype)(1, 1, 5, place(0), place(2)), backend)
    }
  }
})

test('the exponential in float64 is within a unit in the last place of Math.exp, down to subnormals', () => {
  const run = backends[0]![1].job(softmaxJobs.forward, 'float64')
  const at = place(0) / 8
  // Softmax of [0, −x] is e⁻ˣ over 1 + e⁻ˣ, which is 1 from x = 37 on.
  for (let x = 37; x < 750; x += 0.37) {
    linear.f64[at] = 0
    linear.f64[at + 1] = -x
    run(1, 2, 1, place(0), place(1))
    const expected = Math.exp(-x)
    expect(Math.abs(linear.f64[place(1) / 8 + 1]! - expected)).toBeLessThanOrEqual(Math.max(expected * 2.3e-16, 5e-324))
  }
})

test.each(cases)('cross-entropy, %s %s', (_, dtype, backend) => {
  for (const [outer, n, inner] of SHAPES) {
    if (n === 0) continue
    const samples = outer * inner
    fill(dtype, 0, outer * n * inner, -9, 9)
    fill(dtype, 3, n, 0.5, 2)
    fill(dtype, 4, samples)
    for (let i = 0; i < samples; i++) linear.i32[place(2) / 4 + i] = i % 4 === 3 ? -100 : (i * 5) % n
    for (const stats of [0, place(1)]) {
      for (const weight of [0, place(3)]) {
        for (const mean of [0, 1]) {
          const size = outer * n * inner
          const forward = (b: Backend): void => {
            expect(b.job(crossEntropy, dtype)(outer, n, inner, place(0), stats, place(2), weight, -100, place(5), place(6), mean)).toBe(0)
          }
          both(dtype, [[5, samples], [6, 2], ...(stats === 0 ? [] : [[1, 2 * samples] as [number, number]])], forward, backend)
          const gradient =
            (step: number) =>
            (b: Backend): void =>
              b.job(crossEntropyBackward, dtype)(
                outer,
                n,
                inner,
                place(0),
                stats,
                place(2),
                weight,
                -100,
                place(4),
                step,
                mean === 0 ? 0 : place(3),
                place(7),
                place(8),
              )
          for (const step of [0, dtype === 'float32' ? 4 : 8]) both(dtype, [[8, size]], gradient(step), backend)
        }
      }
    }
  }
  for (const wrong of [-1, 3, 2147483647]) {
    linear.i32.set([0, -100, wrong, wrong], place(2) / 4)
    for (const b of [reference, backend]) {
      expect(b.job(crossEntropy, dtype)(4, 3, 1, place(0), place(1), place(2), 0, -100, 0, place(6), 1)).toBe(3)
    }
  }
})

test.each(cases)('layer norm, %s %s', (_, dtype, backend) => {
  for (const [outer, n] of [...SHAPES, [100, 6] as const]) {
    if (n === 0) continue
    const size = outer * n
    fill(dtype, 0, size, 50, 60)
    fill(dtype, 1, n, 0.5, 2)
    fill(dtype, 2, n)
    fill(dtype, 7, size)
    for (const weight of [0, place(1)]) {
      for (const bias of [0, place(2)]) {
        const forward = (b: Backend): void => b.job(layerNorm, dtype)(outer, n, place(0), weight, bias, 0.1, place(3), place(4), place(5))
        both(
          dtype,
          [
            [3, size],
            [4, outer],
            [5, outer],
          ],
          forward,
          backend,
        )
      }
      for (const dx of [0, place(8)]) {
        for (const wants of [true, false]) {
          const gradient = (b: Backend): void =>
            b.job(layerNormBackward, dtype)(
              outer,
              n,
              place(7),
              place(0),
              place(4),
              place(5),
              weight,
              dx,
              wants ? place(9) : 0,
              wants ? place(10) : 0,
              place(6),
            )
          both(
            dtype,
            [
              [8, size],
              [9, n],
              [10, n],
            ],
            gradient,
            backend,
          )
        }
      }
    }
  }
})

test.each(cases)('batch norm, %s %s', (_, dtype, backend) => {
  for (const [outer, channels, inner] of [...SHAPES, [40, 5, 1], [40, 9, 1], [7, 2, 6]] as const) {
    const size = outer * channels * inner
    if (size === 0) continue
    fill(dtype, 0, size, 50, 60)
    fill(dtype, 1, channels, 0.5, 2)
    fill(dtype, 2, channels)
    fill(dtype, 7, size)
    const count = outer * inner
    const forward =
      (given: number) =>
      (b: Backend): void =>
        b.job(batchNorm, dtype)(
          outer,
          channels,
          inner,
          place(0),
          place(3),
          place(1),
          place(2),
          place(4),
          place(5),
          place(6),
          count,
          0.1,
          given,
        )
    const gradient =
      (share: number) =>
      (b: Backend): void =>
        b.job(batchNormBackward, dtype)(
          outer,
          channels,
          inner,
          place(7),
          place(0),
          place(8),
          place(1),
          place(4),
          place(6),
          place(9),
          place(10),
          share,
        )
    both(
      dtype,
      [
        [3, size],
        [4, channels],
        [5, channels],
        [6, channels],
      ],
      forward(0),
      backend,
    )
    both(
      dtype,
      [
        [8, size],
        [9, channels],
        [10, channels],
      ],
      gradient(1 / count),
      backend,
    )
    both(
      dtype,
      [
        [8, size],
        [9, channels],
        [10, channels],
      ],
      gradient(0),
      backend,
    )
    fill(dtype, 4, channels, 54, 56)
    fill(dtype, 6, channels, 0.1, 3)
    both(dtype, [[3, size]], forward(1), backend)
  }
})

test.each(cases)('sums of expressions, %s %s', (_, dtype, backend) => {
  const difference = input(0).sub(input(1))
  const expressions: readonly Scalar[] = [
    difference.mul(difference),
    difference.abs().exp().log1p().mul(scalar(0)),
    input(1).mul(scalar(0)),
  ]
  for (const expression of expressions) {
    const program = new Program([expression], [dtype], [dtype, dtype], 1, dtype)
    for (const n of [0, 1, 2, 3, 7, 16, 100, 1001]) {
      fill(dtype, 0, n)
      fill(dtype, 1, n)
      for (const fixed of [0, 1, 2]) {
        both(dtype, [[2, 1]], (b) => b.job(fold, dtype)(program, fixed)(n, place(2), place(0), place(1), 1.5, 3), backend)
      }
    }
  }
})

test.each(cases)('attention, %s %s', (_, dtype, backend) => {
  const bytes = dtype === 'float32' ? 4 : 8
  const view = dtype === 'float32' ? linear.f32 : linear.f64
  for (const [rows, n, first] of [
    [1, 1, 1],
    [3, 37, 37],
    [5, 40, 0],
    [4, 6, 3],
    [2, 3, 7],
  ] as const) {
    fill(dtype, 4, (rows + 1) * n, -3, 3)
    view.fill(-Infinity, place(4) / bytes, place(4) / bytes + n)
    for (const [mask, maskRow] of [
      [0, 0],
      [place(4), n * bytes],
      [place(4) + n * bytes, 0],
    ] as const) {
      const size = rows * n
      const scores = (b: Backend, then: (b: Backend) => void): void => {
        fill(dtype, 0, size, -30, 30)
        fill(dtype, 1, size)
        then(b)
      }
      const forward = (b: Backend): void => b.job(attention, dtype)(rows, n, first, place(0), mask, maskRow, -0.4, place(2), place(3))
      both(
        dtype,
        [
          [0, size],
          [2, rows],
          [3, rows],
        ],
        (b) => scores(b, forward),
        backend,
      )
      fill(dtype, 2, rows, 10, 12)
      fill(dtype, 3, rows, 0, 1)
      fill(dtype, 5, rows)
      const turn =
        (max: number) =>
        (b: Backend): void =>
          b.job(attentionBackward, dtype)(rows, n, first, place(0), place(1), mask, maskRow, -0.4, max, place(3), place(5))
      both(
        dtype,
        [
          [0, size],
          [1, size],
        ],
        (b) => scores(b, turn(place(2))),
        backend,
      )
      both(
        dtype,
        [
          [0, size],
          [1, size],
        ],
        (b) => scores(b, turn(0)),
        backend,
      )
      both(dtype, [[2, rows]], (b) => b.job(attentionDot, dtype)(rows, n, place(0), n * bytes, place(1), 0, place(2)), backend)
    }
  }
})
