/** The assembler: every instruction encodes to something valid, and samples of each kind compute what their name says. */
import { describe, expect, test } from 'vitest'
import {
  Body,
  type Emitted,
  F32,
  F64,
  I32,
  I64,
  instantiate,
  ModuleBuilder,
  moduleFor,
  V128,
  type ValType,
} from '../../src/backend/wasm/assembler.ts'
import { wasmFeatures } from '../../src/backend/wasm/features.ts'

type AnyOp = (...args: (number | Emitted)[]) => Emitted
const groups = ['i32', 'i64', 'f32', 'f64', 'v128', 'i8x16', 'i16x8', 'i32x4', 'i64x2', 'f32x4', 'f64x2'] as const

function immediates(group: string, op: string): number[] {
  if (op === 'shuffle') return new Array<number>(16).fill(17)
  if (op === 'const') return group === 'v128' ? new Array<number>(16).fill(3) : [3]
  if (op.includes('_lane')) return group === 'v128' ? [5, 1] : op.endsWith('laneselect') ? [] : [1]
  return op.includes('load') || op.includes('store') ? [300] : []
}

describe.each(groups)('%s', (name) => {
  const ops = Object.keys(Object.getPrototypeOf(new Body(0)[name]) as object)
  test(`its ${ops.length} instructions are valid`, () => {
    const { relaxed } = wasmFeatures()
    for (const op of ops) {
      if (op.startsWith('relaxed') && !relaxed) continue
      const module = new ModuleBuilder({ shared: false })
      module.func([], [], (f) => {
        // After `unreachable` the stack has whatever an instruction wants.
        f.unreachable()
        const instruction = (f[name] as unknown as Record<string, AnyOp>)[op]!
        instruction.call(f[name], ...immediates(name, op))
        f.unreachable()
      })
      if (!WebAssembly.validate(module.encode())) expect.fail(`${name}.${op}`)
    }
  })
})

/** Runs one function of float64 arguments. */
function evaluate(params: readonly ValType[], result: ValType, write: (f: Body) => void, ...args: number[]): number {
  const module = new ModuleBuilder()
  module.func(params, [result], (f) => write(f), 'run')
  return instantiate(module.encode(), undefined)['run']!(...args)
}

describe('values', () => {
  test('constants keep every bit', () => {
    for (const value of [0, 1, -1, 63, 64, -64, -65, 127, 128, 8191, 2147483647, -2147483648, 4294967295]) {
      expect(evaluate([], I32, (f) => f.i32.const(value))).toBe(value | 0)
    }
    for (const value of [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n)]) {
      expect(BigInt(evaluate([], I64, (f) => f.i64.const(value)))).toBe(value)
    }
    for (const value of [0, -0, Math.PI, Infinity, Number.NaN, 5e-324]) expect(evaluate([], F64, (f) => f.f64.const(value))).toBe(value)
    expect(evaluate([], F32, (f) => f.f32.const(0.1))).toBe(Math.fround(0.1))
    expect(evaluate([], F32, (f) => f.f32x4.extract_lane(f.f32x4.const(1, 2, 3, 4), 2))).toBe(3)
    expect(evaluate([], I32, (f) => f.i8x16.extract_lane_s(f.i8x16.const(-3), 15))).toBe(-3)
    expect(BigInt(evaluate([], I64, (f) => f.i64x2.extract_lane(f.i64x2.const(5, -6), 1)))).toBe(-6n)
  })
  test('nested calls are operands in order', () => {
    expect(evaluate([], I32, (f) => f.i32.sub(f.i32.const(10), f.i32.mul(f.i32.const(2), f.i32.const(3))))).toBe(4)
    expect(evaluate([], F64, (f) => f.select(f.f64.const(1), f.f64.const(2), f.i32.const(0)))).toBe(2)
    expect(evaluate([], I32, (f) => f.i32.trunc_sat_f64_s(f.f64.const(1e300)))).toBe(2147483647)
    expect(evaluate([], F32, (f) => f.f32x4.extract_lane(f.f32x4.convert_i32x4_u(f.i32x4.const(-1)), 0))).toBe(4294967296)
    expect(evaluate([], F64, (f) => f.f64x2.extract_lane(f.f64x2.promote_low_f32x4(f.f32x4.const(1, 2.5, 3, 4)), 1))).toBe(2.5)
  })
})

describe('functions', () => {
  test('loops, branches, calls, locals and memory', () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true })
    const module = moduleFor(memory)
    const report = module.importFunc('report', [I32], [])
    const square = module.func([I32], [I32], (f, x) => f.i32.mul(f.get(x), f.get(x)))
    module.func(
      [I32, I32],
      [I32],
      (f, address, n) => {
        const sum = f.let(I32, f.i32.const(0))
        const unused = f.locals(V128, 2)
        f.set(unused[1]!, f.i32x4.const(1))
        f.while(
          () => f.get(n),
          () => {
            f.set(n, f.i32.sub(f.get(n), f.i32.const(1)))
            f.i32.store(f.i32.add(f.get(address), f.i32.shl(f.get(n), f.i32.const(2))), f.call(square, f.get(n)), 8)
            f.set(sum, f.i32.add(f.get(sum), f.i32.load(f.i32.add(f.get(address), f.i32.shl(f.get(n), f.i32.const(2))), 8)))
          },
        )
        f.block((done) => {
          f.loop((again) => {
            f.br_if(done, f.i32.gt_s(f.get(sum), f.i32.const(1000)))
            f.if(
              f.i32.and(f.get(sum), f.i32.const(1)),
              () => f.set(sum, f.i32.mul(f.get(sum), f.i32.const(3))),
              () => {
                f.set(sum, f.i32.add(f.get(sum), f.i32.const(1)))
                f.br(again)
              },
            )
            f.br(again)
          })
        })
        f.call(report, f.get(sum))
        f.if(
          f.i32.const(1),
          () => f.i32.const(7),
          () => f.i32.const(8),
          I32,
        )
      },
      'run',
    )
    let reported = 0
    const run = instantiate(module.encode(), memory, {
      report: (value) => {
        reported = value!
      },
    })['run']!
    expect(run(64, 4)).toBe(7)
    expect([...new Int32Array(memory.buffer, 72, 4)]).toEqual([0, 1, 4, 9])
    // 14 → 15 → 45 → 46 → … by the two rules until it passes 1000.
    let sum = 14
    while (sum <= 1000) sum = sum & 1 ? sum * 3 : sum + 1
    expect(reported).toBe(sum)
    expect(() => module.importFunc('late', [], [])).toThrow('after the first function')
  })
  test('lanes of memory', () => {
    const memory = new WebAssembly.Memory({ initial: 1 })
    const module = moduleFor(memory)
    module.func(
      [I32],
      [],
      (f, p) => {
        const v = f.let(V128, f.v128.load32_lane(f.get(p), f.i32x4.const(9), 4, 2))
        f.v128.store(f.get(p), f.i8x16.shuffle(f.get(v), f.get(v), 8, 9, 10, 11, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11), 16)
        f.memoryCopy(f.i32.const(64), f.get(p), f.i32.const(8))
        f.memoryFill(f.i32.const(72), f.i32.const(255), f.i32.const(4))
      },
      'run',
    )
    const words = new Int32Array(memory.buffer)
    words.set([1, 2, 3, 4])
    instantiate(module.encode(), memory)['run']!(0)
    expect([...words.subarray(4, 8)]).toEqual([2, 9, 9, 2])
    expect([...words.subarray(16, 19)]).toEqual([1, 2, -1])
  })
})

test('strict mode leaves relaxed instructions unused', () => {
  expect(wasmFeatures(true)).toEqual({ simd: wasmFeatures().simd, relaxed: false })
})
