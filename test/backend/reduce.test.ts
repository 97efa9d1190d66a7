/** Reductions against plain loops: every operation and dtype, rows and columns of all lengths, special values. */
import { describe, expect, test } from 'vitest'
import type { LinearMemory, ReduceKernel, ReduceOp } from '../../src/backend/backend.ts'
import { compileReduce } from '../../src/backend/wasm/reduce.ts'
import { type DType, dtypes } from '../../src/dtype.ts'

const memory = new WebAssembly.Memory({ initial: 200, maximum: 200, shared: true })
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
const viewOf = (dtype: DType): Float32Array | Float64Array | Int32Array | Uint8Array =>
  dtype === 'float32' ? linear.f32 : dtype === 'float64' ? linear.f64 : dtype === 'int32' ? linear.i32 : linear.u8
const INPUT = 1 << 16
const OUTPUT = 10 << 20

let seed = 7
const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647
const below = (n: number): number => Math.floor(random() * n)

const ops: ReduceOp[] = ['sum', 'prod', 'max', 'min', 'argmax', 'argmin', 'any', 'all']
const types = Object.keys(dtypes) as DType[]

/** The type of a result. */
function outType(op: ReduceOp, dtype: DType): DType {
  if (op === 'any' || op === 'all') return 'bool'
  if (op === 'argmax' || op === 'argmin') return 'int32'
  return dtypes[dtype].floating || op === 'max' || op === 'min' ? dtype : 'int32'
}

function plain(op: ReduceOp, values: number[]): number {
  switch (op) {
    case 'sum':
      return values.reduce((a, b) => a + b, 0)
    case 'prod':
      return values.reduce((a, b) => a * b, 1)
    case 'max':
      return values.reduce((a, b) => (Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : Math.max(a, b)))
    case 'min':
      return values.reduce((a, b) => (Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : Math.min(a, b)))
    case 'any':
      return values.some((v) => v !== 0) ? 1 : 0
    case 'all':
      return values.every((v) => v !== 0) ? 1 : 0
    default: {
      const nan = values.findIndex(Number.isNaN)
      return nan >= 0 ? nan : values.indexOf(op === 'argmax' ? Math.max(...values) : Math.min(...values))
    }
  }
}

/** Some value of a type: ties and zeros are frequent. */
function value(op: ReduceOp, dtype: DType, special: boolean): number {
  if (dtype === 'bool') return below(2)
  if (dtype === 'uint8') return op === 'prod' ? 1 + below(2) : random() < 0.3 ? 0 : below(256)
  if (dtype === 'int32') return op === 'prod' ? (random() < 0.8 ? 1 : below(5) - 2) : op === 'all' && random() < 0.7 ? 1 : below(41) - 20
  if (special && random() < 0.1) return [Number.NaN, Infinity, -Infinity, -0, 0][below(5)]!
  if (op === 'any') return 0
  return op === 'prod' ? 0.5 + random() : below(64) / 8 - 4
}

describe.each(types)('%s', (dtype) => {
  test.each(ops)('%s', (op) => {
    const [apart, adjacent] = [false, true].map((neighbours) => compileReduce(linear, op, dtype, neighbours)) as [
      ReduceKernel,
      ReduceKernel,
    ]
    const view = viewOf(dtype)
    const width = dtypes[dtype].bytes
    const out = viewOf(outType(op, dtype))
    const outWidth = dtypes[outType(op, dtype)].bytes
    const indexed = op === 'max' || op === 'min' || op === 'argmax' || op === 'argmin'
    const check = (outer: number, n: number, inner: number, special: boolean): void => {
      const at = INPUT / width
      const count = outer * n * inner
      for (let i = 0; i < count; i++) view[at + i] = value(op, dtype, special)
      linear.u8.fill(0x5a, OUTPUT, OUTPUT + outer * inner * outWidth + 16)
      let overflow = false
      const expected: number[] = []
      for (let o = 0; o < outer; o++) {
        for (let i = 0; i < inner; i++) {
          const values = Array.from({ length: n }, (_, j) => view[at + (o * n + j) * inner + i]!)
          const result = plain(op, values)
          if (!dtypes[dtype].floating && Math.abs(result) > 2147483647 && result !== -2147483648) overflow = true
          expected.push(result)
        }
      }
      const flag = (inner === 1 ? adjacent : apart)(outer, n, inner, INPUT, OUTPUT)
      expect(flag).toBe(overflow ? 1 : 0)
      expect(linear.u8.subarray(OUTPUT + outer * inner * outWidth, OUTPUT + outer * inner * outWidth + 16).every((b) => b === 0x5a)).toBe(
        true,
      )
      if (overflow) return
      const exact = op !== 'prod' || !dtypes[dtype].floating
      expected.forEach((want, i) => {
        const got = out[OUTPUT / outWidth + i]!
        const good =
          Object.is(got + 0, want + 0) || (!exact && Math.abs(got - want) <= Math.abs(want) * n * (width === 4 ? 1.2e-7 : 2.3e-16))
        if (!good) expect.fail(`[${outer}, ${n}, ${inner}] ${special}: element ${i} is ${got}, expected ${want}`)
      })
    }
    for (let i = 0; i < 90; i++) {
      const n = i % 10 === 0 ? 1 + below(1500) : (indexed ? 1 : 0) + below(60)
      const inner = i % 3 === 0 ? 1 : i % 3 === 1 ? 1 + below(8) : 1 + below(100)
      check(below(4), n, inner, i % 2 === 0)
    }
    if (!indexed) {
      check(3, 0, 1, false)
      check(2, 0, 21, false)
    }
  })
})

describe('sums are accurate', () => {
  const n = 240_000
  test.each([
    [1, n, 1],
    [1, n / 4, 4],
    [1, n / 100, 100],
    [1, (n / 3) | 0, 3],
    [10, n / 10, 1],
  ])('[%i, %i, %i]', (outer, count, inner) => {
    for (const dtype of ['float32', 'float64'] as const) {
      const view = viewOf(dtype)
      const width = dtypes[dtype].bytes
      for (let i = 0; i < outer * count * inner; i++) view[INPUT / width + i] = random()
      compileReduce(linear, 'sum', dtype, inner === 1)(outer, count, inner, INPUT, OUTPUT)
      for (let o = 0; o < outer; o++) {
        for (let i = 0; i < inner; i++) {
          // Doubles in this range are integers times 2⁻¹⁰⁰, and add up exactly as big integers.
          let exact = 0n
          for (let j = 0; j < count; j++) exact += BigInt(view[INPUT / width + (o * count + j) * inner + i]! * 2 ** 100)
          const got = BigInt(view[OUTPUT / width + o * inner + i]! * 2 ** 100)
          const error = Number(got - exact) / Number(exact)
          expect(Math.abs(error)).toBeLessThan((width === 4 ? 2 ** -24 : 2 ** -53) * 2.5)
        }
      }
    }
  })
  test('infinities survive the compensation', () => {
    linear.f32.fill(1, INPUT / 4, INPUT / 4 + 5000)
    linear.f32[INPUT / 4 + 17] = Infinity
    compileReduce(linear, 'sum', 'float32', true)(1, 5000, 1, INPUT, OUTPUT)
    expect(linear.f32[OUTPUT / 4]).toBe(Infinity)
    linear.f32[INPUT / 4 + 4017] = -Infinity
    compileReduce(linear, 'sum', 'float32', true)(1, 5000, 1, INPUT, OUTPUT)
    expect(linear.f32[OUTPUT / 4]).toBeNaN()
  })
})

test('integer sums and products say when they do not fit', () => {
  const sum = compileReduce(linear, 'sum', 'int32', true)
  const prod = compileReduce(linear, 'prod', 'int32', true)
  const set = (...values: number[]): void => linear.i32.set(values, INPUT / 4)
  const out = (): number => linear.i32[OUTPUT / 4]!
  set(2147483647, 1)
  expect(sum(1, 2, 1, INPUT, OUTPUT)).toBe(1)
  set(2147483647, 5, -5)
  expect([sum(1, 3, 1, INPUT, OUTPUT), out()]).toEqual([0, 2147483647])
  set(65536, 32768, -1)
  expect(prod(1, 2, 1, INPUT, OUTPUT)).toBe(1)
  expect([prod(1, 3, 1, INPUT, OUTPUT), out()]).toEqual([0, -2147483648])
  set(2147483647, 2147483647, 2147483647, 2147483647, 0)
  expect(prod(1, 4, 1, INPUT, OUTPUT)).toBe(1)
  expect([prod(1, 5, 1, INPUT, OUTPUT), out()]).toEqual([0, 0])
  set(-2147483648, -2147483648, -2147483648, -2147483648, -2147483648)
  expect(prod(1, 5, 1, INPUT, OUTPUT)).toBe(1)
  set(-2147483648, 1, 1)
  expect([prod(1, 3, 1, INPUT, OUTPUT), out()]).toEqual([0, -2147483648])
})
