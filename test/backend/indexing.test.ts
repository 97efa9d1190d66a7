/** Index kernels of the WASM backend against the reference's loops, bit for bit. */
import { expect, test } from 'vitest'
import type { IndexOp, LinearMemory } from '../../src/backend/backend.ts'
import { indexKernel } from '../../src/backend/reference/indexing.ts'
import { compileIndex } from '../../src/backend/wasm/indexing.ts'
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
  scratch: 0,
}
const views = { float32: linear.f32, float64: linear.f64, int32: linear.i32, uint8: linear.u8, bool: linear.u8 }
// None of the arrays is aligned to a vector.
const BIG = 65536 + 8
const SMALL = 196608 + 8
const INDEX = 327680 + 4

let state = 1
const random = (n: number): number => {
  state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
  return (state >>> 8) % n
}

test.each(Object.keys(dtypes) as DType[])('%s', (dtype) => {
  const { bytes, floating } = dtypes[dtype]
  const fill = (at: number, n: number): void => {
    const view = views[dtype]
    for (let i = 0; i < n; i++) view[at / bytes + i] = dtype === 'bool' ? random(2) : floating ? random(2 ** 20) / 7 - 70000 : random(256)
  }
  for (const op of ['gather', 'scatter', 'scatterAdd', 'indexSelect', 'indexCopy', 'indexAdd'] as const satisfies IndexOp[]) {
    const [ours, plain] = [compileIndex(linear, op, dtype), indexKernel(linear, op, dtype)]
    const everywhere = op === 'gather' || op === 'scatter' || op === 'scatterAdd'
    for (const [outer, n, inner, m] of [
      [1, 1, 1, 1],
      [1, 40, 1, 23],
      [3, 7, 1, 9],
      [2, 5, 3, 6],
      [1, 6, 16, 11],
      [2, 9, 37, 5],
      [1, 4, 70, 9],
      [1, 3, 129, 2],
      [2, 4, 8, 0],
      [0, 4, 8, 3],
    ] as const) {
      fill(BIG, outer * n * inner + 8)
      fill(SMALL, outer * m * inner + 8)
      const positions = everywhere ? outer * m * inner : m
      for (let i = 0; i < positions; i++) linear.i32[INDEX / 4 + i] = random(n)
      const before = linear.u8.slice()
      ours(outer, n, inner, m, BIG, INDEX, SMALL)
      const after = linear.u8.slice()
      linear.u8.set(before)
      plain(outer, n, inner, m, BIG, INDEX, SMALL)
      // The whole memory: nothing else may have been written.
      expect(Buffer.compare(after, linear.u8), `${op} ${outer}, ${n}, ${inner}, ${m}`).toBe(0)
    }
  }
})
