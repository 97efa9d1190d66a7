/** Matrix products against plain loops: all paths and edges, strides, batches, special values. */
import { describe, expect, test } from 'vitest'
import type { LinearMemory } from '../../src/backend/backend.ts'
import { wasmFeatures } from '../../src/backend/wasm/features.ts'
import { compileMatmul, matmulWork } from '../../src/backend/wasm/matmul.ts'

const memory = new WebAssembly.Memory({ initial: 400, maximum: 400, shared: true })
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
const A = 1 << 16
const B = 6 << 20
const C = 12 << 20
const ROW = 17 << 20
const WORK = 18 << 20
const starts = ['nothing', 'C', 'row'] as const

let seed = 1
const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647
const below = (n: number): number => Math.floor(random() * n)

interface Case {
  batch: number
  m: number
  n: number
  k: number
  /** Which axis of A and B has unit stride; 2 means none. */
  a: 0 | 1 | 2
  b: 0 | 1 | 2
  start: 'nothing' | 'C' | 'row'
  sharedB: boolean
}

function strides(kind: 0 | 1 | 2, rows: number, cols: number): [number, number] {
  return kind === 0 ? [cols + 3, 1] : kind === 1 ? [1, rows] : [cols * 2 + 1, 2]
}

describe.each(['float32', 'float64'] as const)('%s', (dtype) => {
  const width = dtype === 'float32' ? 4 : 8
  const view = dtype === 'float32' ? linear.f32 : linear.f64
  const epsilon = dtype === 'float32' ? 2 ** -23 : 2 ** -52

  describe.each([false, true])('relaxed %s', (relaxed) => {
    const features = wasmFeatures()
    const run = compileMatmul(linear, dtype, relaxed && features.relaxed)

    function check(t: Case, special = false): void {
      const { batch, m, n, k } = t
      const [aRow, aCol] = strides(t.a, m, k)
      const [bRow, bCol] = strides(t.b, k, n)
      const aBatch = Math.max(m * aRow, k * aCol)
      const bBatch = t.sharedB ? 0 : Math.max(k * bRow, n * bCol)
      const [a, b, c] = [A / width, B / width, C / width]
      const fill = (at: number, count: number): void => {
        for (let i = 0; i < count; i++) {
          view[at + i] = random() * 2 - 1
          if (special && random() < 0.02) view[at + i] = [Infinity, -Infinity, NaN][below(3)]!
        }
      }
      fill(a, batch * aBatch + 8)
      fill(b, Math.max(1, batch) * Math.max(k * bRow, n * bCol) + 8)
      fill(c, batch * m * n + 8)
      fill(ROW / width, n)
      const work = matmulWork(dtype, m, n, k)
      linear.u8.fill(0xa5, WORK, WORK + work + 64)
      const expected = new Float64Array(batch * m * n)
      for (let p = 0; p < batch; p++) {
        for (let i = 0; i < m; i++) {
          for (let j = 0; j < n; j++) {
            let sum = t.start === 'C' ? view[c + (p * m + i) * n + j]! : t.start === 'row' ? view[ROW / width + j]! : 0
            for (let l = 0; l < k; l++) sum += view[a + p * aBatch + i * aRow + l * aCol]! * view[b + p * bBatch + l * bRow + j * bCol]!
            expected[(p * m + i) * n + j] = sum
          }
        }
      }
      const after = view.slice(c + batch * m * n, c + batch * m * n + 8)
      run(batch, m, n, k, A, aBatch, aRow, aCol, B, bBatch, bRow, bCol, C, m * n, { nothing: 0, C: 1, row: ROW }[t.start], WORK)
      const tolerance = epsilon * (k + 2)
      let bad = -1
      for (let i = 0; i < expected.length && bad < 0; i++) {
        const got = view[c + i]!
        const want = expected[i]!
        if (!Object.is(got, want) && !(Math.abs(got - want) <= tolerance)) bad = i
      }
      if (bad >= 0) expect.fail(`${JSON.stringify(t)}: element ${bad} is ${view[c + bad]}, expected ${expected[bad]}`)
      expect(view.slice(c + batch * m * n, c + batch * m * n + 8)).toEqual(after)
      expect(linear.u8.subarray(WORK + work, WORK + work + 64).every((x) => x === 0xa5)).toBe(true)
    }

    test('every small size', () => {
      const kinds = [0, 1, 2] as const
      for (let m = 0; m <= 8; m++) {
        for (let n = 0; n <= 18; n++) {
          const k = below(9)
          check({ batch: 1, m, n, k, a: kinds[below(3)]!, b: kinds[below(3)]!, start: starts[below(3)]!, sharedB: false })
        }
      }
    })
    test('random sizes, strides and batches', () => {
      for (let i = 0; i < 150; i++) {
        check({
          batch: below(4),
          m: below(i % 3 === 0 ? 150 : 30),
          n: below(i % 4 === 0 ? 150 : 40),
          k: below(i % 5 === 0 ? 700 : 50),
          a: below(3) as 0,
          b: below(3) as 0,
          start: starts[below(3)]!,
          sharedB: random() < 0.5,
        })
      }
    })
    test('vectors', () => {
      for (let i = 0; i < 60; i++) {
        const row = random() < 0.5
        check({
          batch: 1 + below(2),
          m: row ? 1 : below(200),
          n: row ? below(200) : 1,
          k: below(200),
          a: below(3) as 0,
          b: below(3) as 0,
          start: starts[below(3)]!,
          sharedB: false,
        })
      }
    })
    test('a vector and a large matrix', () => {
      for (const [n, k] of [
        [301, 203],
        [130, 512],
      ] as const) {
        for (const start of starts) {
          check({ batch: 1, m: 1, n, k, a: 2, b: 0, start, sharedB: false })
          check({ batch: 1, m: n, n: 1, k, a: 1, b: 2, start, sharedB: false })
        }
      }
    })
    test('one B for a contiguous batch', () => {
      for (const [m, n, k] of [
        [1, 80, 5],
        [3, 70, 260],
        [7, 20, 4],
        [40, 100, 30],
      ] as const) {
        check({ batch: 6, m, n, k, a: 2, b: 0, start: 'nothing', sharedB: true })
        check({ batch: 6, m, n, k, a: 0, b: 1, start: 'C', sharedB: true })
      }
    })
    test('several blocks', () => {
      check({ batch: 1, m: 200, n: 1100, k: 40, a: 0, b: 1, start: 'nothing', sharedB: false })
      check({ batch: 1, m: 101, n: 67, k: 1030, a: 1, b: 0, start: 'C', sharedB: false })
      check({ batch: 1, m: 10, n: 60, k: 2000, a: 1, b: 0, start: 'row', sharedB: false })
    })
    test('infinities and NaNs spread as in plain arithmetic', () => {
      for (let i = 0; i < 60; i++) {
        check(
          {
            batch: 1,
            m: below(20),
            n: below(i % 2 ? 90 : 20),
            k: below(20),
            a: below(3) as 0,
            b: below(3) as 0,
            start: starts[i % 3]!,
            sharedB: false,
          },
          true,
        )
      }
    })
  })
})
