/** Running sums and products against plain loops. */
import { expect, test } from 'vitest'
import type { LinearMemory } from '../../src/backend/backend.ts'
import { compileScan } from '../../src/backend/wasm/scan.ts'
import { type DType, dtypes } from '../../src/dtype.ts'

const memory = new WebAssembly.Memory({ initial: 8, maximum: 8, shared: true })
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
const views = { float32: linear.f32, float64: linear.f64, int32: linear.i32, uint8: linear.u8, bool: linear.u8 }
const INPUT = 65536
const OUTPUT = 262144

test.each(Object.keys(dtypes) as DType[])('%s', (dtype) => {
  const input = views[dtype]
  const at = INPUT / dtypes[dtype].bytes
  const floating = dtypes[dtype].floating
  const output = floating ? input : linear.i32
  const to = OUTPUT / (floating ? dtypes[dtype].bytes : 4)
  for (const op of ['sum', 'prod'] as const) {
    const run = compileScan(linear, op, dtype)
    for (const [outer, n, inner] of [
      [1, 1, 1],
      [1, 100, 1],
      [3, 7, 1],
      [2, 9, 3],
      [2, 5, 19],
      [3, 4, 8],
      [2, 0, 3],
      [0, 3, 3],
      [1, 6, 33],
    ] as const) {
      for (let i = 0; i < outer * n * inner; i++)
        input[at + i] = dtype === 'bool' ? i % 2 : floating ? ((i * 37) % 17) / 8 - 1 : (i * 5) % 7
      const expected: number[] = []
      for (let o = 0; o < outer; o++) {
        for (let j = 0; j < n; j++) {
          for (let i = 0; i < inner; i++) {
            const k = (o * n + j) * inner + i
            const before = j === 0 ? (op === 'sum' ? 0 : 1) : expected[k - inner]!
            expected.push(
              !floating && op === 'prod'
                ? Math.imul(before, input[at + k]!)
                : op === 'sum'
                  ? before + input[at + k]!
                  : before * input[at + k]!,
            )
          }
        }
      }
      run(outer, n, inner, INPUT, OUTPUT)
      expect([...output.subarray(to, to + outer * n * inner)]).toEqual(dtype === 'float32' ? expected.map(Math.fround) : expected)
    }
  }
})
