/** Window kernels of the WASM backend against the reference's loops, bit for bit. */
import { expect, test } from 'vitest'
import type { LinearMemory, Window2d } from '../../src/backend/backend.ts'
import { fold2dKernel, maxPool2dKernel, unfold2dKernel } from '../../src/backend/reference/window.ts'
import { compileFold, compileMaxPool, compileUnfold } from '../../src/backend/wasm/window.ts'
import { type DType, dtypes } from '../../src/dtype.ts'

const memory = new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true })
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
const IMAGE = 65536 + 8
const MAP = 262144 + 8
const PLACES = 524288 + 4

let state = 1
const random = (n: number): number => {
  state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
  return (state >>> 8) % n
}

/** [h, w], kernel, stride, padding, dilation */
const CASES: readonly (readonly [number, number, ...(readonly (readonly [number, number])[])])[] = [
  [1, 1, [1, 1], [1, 1], [0, 0], [1, 1]],
  [6, 9, [3, 3], [1, 1], [0, 0], [1, 1]],
  [6, 9, [3, 3], [1, 1], [1, 1], [1, 1]],
  [9, 23, [3, 3], [2, 2], [1, 1], [1, 1]],
  [8, 20, [2, 2], [2, 2], [0, 0], [1, 1]],
  [5, 31, [5, 4], [1, 1], [2, 2], [1, 1]],
  [11, 12, [3, 2], [2, 3], [1, 1], [2, 3]],
  [7, 7, [3, 3], [1, 1], [1, 1], [3, 2]],
  // Windows that reach past an image smaller than themselves.
  [2, 3, [5, 5], [1, 1], [2, 2], [1, 1]],
  [3, 2, [3, 9], [1, 2], [1, 4], [1, 1]],
  [1, 17, [1, 3], [1, 1], [0, 1], [1, 1]],
]

test.each(Object.keys(dtypes) as DType[])('%s', (dtype) => {
  const { bytes, floating } = dtypes[dtype]
  const view = views[dtype]
  const [unfold, fold, pool] = [compileUnfold(linear, dtype), compileFold(linear, dtype), compileMaxPool(linear, dtype)]
  const plain = [unfold2dKernel(linear, dtype), fold2dKernel(linear, dtype), maxPool2dKernel(linear, dtype)] as const
  for (const [h, w, kernel, stride, padding, dilation] of CASES) {
    const window = { kernel, stride, padding, dilation } as Window2d
    const count = (d: 0 | 1): number => Math.floor(([h, w][d]! + 2 * padding![d] - dilation![d] * (kernel![d] - 1) - 1) / stride![d]) + 1
    const [oh, ow] = [count(0), count(1)]
    const planes = 3
    for (let i = IMAGE / bytes; i < PLACES / bytes; i++) view[i] = dtype === 'bool' ? random(2) : floating ? random(64) / 8 - 4 : random(90)
    if (floating) view[IMAGE / bytes + 1] = view[IMAGE / bytes + 2] = NaN
    /** The whole memory after both must be the same: nothing else may have been written. */
    const same = (name: string, ours: () => void, theirs: () => void): void => {
      const before = linear.u8.slice()
      ours()
      const after = linear.u8.slice()
      linear.u8.set(before)
      theirs()
      expect(Buffer.compare(after, linear.u8), `${name} of ${h} × ${w}, ${JSON.stringify(window)}`).toBe(0)
      linear.u8.set(before)
    }
    for (const [first, rows] of [
      [0, oh],
      [oh >> 1, 1],
      [oh - 1, 1],
      [0, 0],
    ] as const) {
      const args = [planes, h, w, first, rows, ow, window, IMAGE, MAP] as const
      same(
        'unfold',
        () => unfold(...args),
        () => plain[0](...args),
      )
      same(
        'fold',
        () => fold(...args),
        () => plain[1](...args),
      )
    }
    const args = [planes, h, w, oh, ow, window, IMAGE, MAP, PLACES] as const
    same(
      'maxPool',
      () => pool(...args),
      () => plain[2](...args),
    )
  }
})
