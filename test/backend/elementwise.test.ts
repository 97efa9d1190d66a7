/** Flat and strided WASM loops against a plain interpreter of the same expressions, bit for bit. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ANY, FIXED, UNIT } from '../../src/backend/backend.ts'
import { type ComputeType, constant, input, Program, Scalar, scalar } from '../../src/backend/scalar.ts'
import { compileFlat, compileStrided } from '../../src/backend/wasm/elementwise.ts'
import { wasmFeatures } from '../../src/backend/wasm/features.ts'
import { type DType, dtypes } from '../../src/dtype.ts'
import { linearMemory } from '../../src/memory/linear.ts'

const memory = linearMemory()
memory.grow(8 << 20)
const BASE = 1 << 17
const modes = wasmFeatures().relaxed ? [false, true] : [false]

/** A bump allocator with gaps between arrays, so that writing past an end is seen. */
let top = BASE
function place(type: DType, count: number): number {
  const at = top
  top += (Math.ceil((count * dtypes[type].bytes) / 16) + 2) * 16
  return at
}
function reset(): void {
  memory.u8.fill(0xa5, BASE, Math.max(top, BASE + (1 << 16)))
  top = BASE
}
function read(type: DType, at: number): number {
  if (type === 'float32') return memory.f32[at / 4]!
  if (type === 'float64') return memory.f64[at / 8]!
  return type === 'int32' ? memory.i32[at / 4]! : memory.u8[at]!
}
function write(type: DType, at: number, value: number): void {
  if (type === 'float32') memory.f32[at / 4] = value
  else if (type === 'float64') memory.f64[at / 8] = value
  else if (type === 'int32') memory.i32[at / 4] = value
  else memory.u8[at] = value
}

const saturate = (x: number): number => (Number.isNaN(x) ? 0 : Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Math.trunc(x))) + 0)

/** A value as it arrives in the compute type. */
function convert(compute: ComputeType, value: number): number {
  return compute === 'float32' ? Math.fround(value) : compute === 'int32' ? saturate(value) : value
}
/** A result as it is stored. */
function stored(type: DType, value: number): number {
  if (type === 'bool') return value !== 0 ? 1 : 0
  if (type === 'float32') return Math.fround(value)
  return type === 'float64' ? value : type === 'int32' ? saturate(value) : saturate(value) & 255
}

function roundEven(x: number): number {
  const down = Math.floor(x)
  const up = x - down > 0.5 || (x - down === 0.5 && down % 2 !== 0)
  return x === down ? x : up ? (down + 1 === 0 ? -0 : down + 1) : down
}
function powInt(base: number, exponent: number): number {
  if (exponent < 0) return base === 1 ? 1 : base === -1 ? (exponent % 2 === 0 ? 1 : -1) : 0
  let result = 1
  for (let i = 0; i < exponent; i++) result = Math.imul(result, base)
  return result
}

const UNARY: Record<string, (x: number) => number> = {
  neg: (x) => -x,
  abs: Math.abs,
  sqrt: Math.sqrt,
  reciprocal: (x) => 1 / x,
  floor: Math.floor,
  ceil: Math.ceil,
  trunc: Math.trunc,
  round: roundEven,
  sign: (x) => (x > 0 ? 1 : x < 0 ? -1 : 0),
  tan: Math.tan,
  atan: Math.atan,
}
const BINARY: Record<string, (x: number, y: number) => number> = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div: (x, y) => x / y,
  minimum: Math.min,
  maximum: Math.max,
  fmod: (x, y) => x % y,
  remainder: (x, y) => {
    const r = x % y
    return r !== 0 && r < 0 !== y < 0 ? r + y : r
  },
  atan2: Math.atan2,
  pow: (x, y) => (x === 1 || (Math.abs(x) === 1 && Math.abs(y) === Infinity) ? 1 : x ** y),
}
const INTEGER: Record<string, (x: number, y: number) => number> = {
  ...BINARY,
  mul: Math.imul,
  pow: powInt,
  fmod: (x, y) => (y === 0 ? 0 : x % y),
  remainder: (x, y) => (y === 0 ? 0 : BINARY['remainder']!(x, y)),
}
const COMPARE: Record<string, (x: number, y: number) => boolean> = {
  lt: (x, y) => x < y,
  le: (x, y) => x <= y,
  gt: (x, y) => x > y,
  ge: (x, y) => x >= y,
  eq: (x, y) => x === y,
  ne: (x, y) => x !== y,
}

function evaluate(node: Scalar, compute: ComputeType, inputs: readonly number[], scalars: readonly number[]): number {
  const args = node.args.map((a) => evaluate(a, compute, inputs, scalars)) as [number, number, number]
  const round = (x: number): number => (compute === 'float32' ? Math.fround(x) : compute === 'int32' ? x | 0 : x)
  if (node.op === 'input') return convert(compute, inputs[node.value]!)
  if (node.op === 'scalar') return convert(compute, scalars[node.value]!)
  if (node.op === 'const') return convert(compute, node.value)
  if (node.op === 'number') return args[0]
  if (node.op === 'where') return args[0] ? args[1] : args[2]
  if (node.op === 'not') return args[0] ? 0 : 1
  if (node.op === 'and') return args[0] & args[1]
  if (node.op === 'or') return args[0] | args[1]
  if (node.op === 'xor') return args[0] ^ args[1]
  const compare = COMPARE[node.op]
  if (compare !== undefined) return compare(args[0], args[1]) ? 1 : 0
  const unary = UNARY[node.op]
  if (unary !== undefined) return round(unary(args[0]))
  return round((compute === 'int32' ? INTEGER : BINARY)[node.op]!(args[0], args[1]))
}

const SPECIAL = [
  0,
  -0,
  1,
  -1,
  0.5,
  1.5,
  2.5,
  -2.5,
  3,
  7,
  -7,
  255,
  256,
  300.7,
  1e10,
  -1e10,
  1e-40,
  -1e-40,
  3e38,
  Infinity,
  -Infinity,
  NaN,
  2147483647,
  -2147483648,
]
/** A small generator of its own, for data. */
function numbers(seed: number): () => number {
  let s = seed | 0
  const next = (): number => {
    s = (Math.imul(s, 1664525) + 1013904223) | 0
    return (s >>> 8) / 2 ** 24
  }
  return () => (next() < 0.3 ? SPECIAL[Math.floor(next() * SPECIAL.length)]! : (next() - 0.5) * 10 ** Math.floor(next() * 6))
}
const value = (type: DType, x: number): number => (type === 'bool' ? (x > 0 ? 1 : 0) : stored(type, x))

function same(type: DType, a: number, b: number): boolean {
  return type === 'float32' || type === 'float64' ? Object.is(a, b) : a === b
}

const FLOATS = ['neg', 'abs', 'sqrt', 'reciprocal', 'floor', 'ceil', 'trunc', 'round', 'sign', 'tan', 'atan']
const INTS = ['neg', 'abs', 'sign', 'floor', 'round']
const types: DType[] = ['float32', 'float64', 'int32', 'uint8', 'bool']

/** Random expressions over three inputs and two scalars, from a list of choices. */
function expression(compute: ComputeType, choices: readonly number[]): Scalar {
  let at = 0
  const choose = (n: number): number => choices[at++ % choices.length]! % n
  const unary = compute === 'int32' ? INTS : FLOATS
  // What isn't the very same number is compared elsewhere: float64 powers in double.test.ts.
  const others = { int32: ['div', 'atan2'], float64: ['pow'], float32: [] as string[] }[compute]
  const binary = Object.keys(compute === 'int32' ? INTEGER : BINARY).filter((op) => !others.includes(op))
  const number = (depth: number): Scalar => {
    const kind = depth === 0 ? choose(6) : choose(12)
    if (kind < 3) return input(kind)
    if (kind === 3) return scalar(choose(2))
    if (kind === 4) return constant(SPECIAL[choose(8)]!)
    if (kind === 5) return input(0)
    if (kind < 8) return Scalar.make(unary[choose(unary.length)] as 'neg', [number(depth - 1)])
    if (kind < 10) {
      const op = binary[choose(binary.length)]!
      // A large integer power takes the interpreter too long.
      if (compute === 'int32' && op === 'pow') return number(depth - 1).pow(number(depth - 1).remainder(9))
      return Scalar.make(op as 'add', [number(depth - 1), number(depth - 1)])
    }
    return number(depth - 1).where(mask(depth - 1), number(depth - 1))
  }
  const mask = (depth: number): Scalar => {
    const kind = choose(depth === 0 ? 7 : 11)
    if (kind < 6) return Scalar.make(Object.keys(COMPARE)[kind] as 'lt', [number(depth), number(0)])
    if (kind === 6) return input(choose(3)).ne(0)
    if (kind === 7) return mask(depth - 1).logicalNot()
    return Scalar.make((['and', 'or', 'xor'] as const)[kind - 8]!, [mask(depth - 1), mask(depth - 1)])
  }
  return choose(4) === 0 ? mask(3) : number(3)
}

const programs = fc
  .record({
    compute: fc.constantFrom<ComputeType>('float32', 'float64', 'int32'),
    choices: fc.array(fc.array(fc.nat(1000), { minLength: 30, maxLength: 30 }), { minLength: 1, maxLength: 2 }),
    inTypes: fc.tuple(fc.constantFrom(...types), fc.constantFrom(...types), fc.constantFrom(...types)),
    outTypes: fc.tuple(fc.constantFrom(...types), fc.constantFrom(...types)),
    seed: fc.nat(),
    relaxed: fc.constantFrom(...modes),
  })
  .map(({ compute, choices, inTypes, outTypes, seed, relaxed }) => {
    const outputs = choices.map((c) => expression(compute, c))
    return { program: new Program(outputs, outTypes.slice(0, outputs.length), inTypes, 2, compute), seed, relaxed }
  })

/** Compares what memory holds with the interpreter. `inputs` and `outputs` give the address of an element. */
function check(
  program: Program,
  count: number,
  values: readonly (readonly number[])[],
  scalars: readonly number[],
  address: (o: number, i: number) => number,
): void {
  for (let i = 0; i < count; i++) {
    program.outputs.forEach((node, o) => {
      const type = program.outTypes[o]!
      const expected = stored(
        type,
        evaluate(
          node,
          program.compute,
          values.map((v) => v[i]!),
          scalars,
        ),
      )
      const got = read(type, address(o, i))
      if (same(type, got, expected)) return
      const from = `${values.map((v) => v[i])} ${scalars}`
      throw new Error(`${program.key}: element ${i} of ${count}: got ${got}, expected ${expected} from ${from}`)
    })
  }
}

describe('flat loops', () => {
  test('agree with the interpreter', () => {
    fc.assert(
      fc.property(programs, fc.nat(40), fc.nat(7), ({ program, seed, relaxed }, count, fixed) => {
        reset()
        const random = numbers(seed)
        const scalars = [convert('float32', random()), random()]
        const outs = program.outTypes.map((type) => place(type, count))
        const values: number[][] = []
        const ins = program.inTypes.map((type, k) => {
          const isFixed = ((fixed >> k) & 1) === 1
          const at = place(type, isFixed ? 1 : count)
          const first = value(type, random())
          values.push(Array.from({ length: count }, () => (isFixed ? first : value(type, random()))))
          if (isFixed) write(type, at, first)
          else values[k]!.forEach((v, i) => write(type, at + i * dtypes[type].bytes, v))
          values[k] = values[k]!.map((_, i) => read(type, isFixed ? at : at + i * dtypes[type].bytes))
          return at
        })
        compileFlat(memory, program, fixed, { relaxed })(count, ...outs, ...ins, ...scalars)
        check(program, count, values, scalars, (o, i) => outs[o]! + i * dtypes[program.outTypes[o]!].bytes)
        program.outTypes.forEach((type, o) => {
          const end = outs[o]! + count * dtypes[type].bytes
          expect([...memory.u8.subarray(end, end + 16)].every((b) => b === 0xa5)).toBe(true)
        })
      }),
      { numRuns: 1500, seed: 1 },
    )
  })

  test('write over their own inputs', () => {
    const p = input(0)
    const g = input(1)
    const momentum = input(2).mul(scalar(0)).add(g)
    const f = 'float32'
    const program = new Program([p.sub(momentum.mul(scalar(1))), momentum], [f, f], [f, f, f], 2, f)
    for (const count of [1, 3, 4, 17, 100]) {
      reset()
      const random = numbers(count)
      const at = [place('float32', count), place('float32', count), place('float32', count)]
      const values = at.map((a) =>
        Array.from({ length: count }, (_, i) => {
          write('float32', a + 4 * i, random())
          return read('float32', a + 4 * i)
        }),
      )
      compileFlat(memory, program, 0, { relaxed: false })(count, at[0]!, at[2]!, at[0]!, at[1]!, at[2]!, 0.9, 0.01)
      check(program, count, values, [0.9, 0.01], (o, i) => at[o === 0 ? 0 : 2]! + 4 * i)
    }
  })
})

describe('strided loops', () => {
  const dims = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 4 })
  test('agree with the interpreter', () => {
    const choices = fc.array(fc.nat(5), { minLength: 40, maxLength: 40 })
    fc.assert(
      fc.property(programs, dims, choices, fc.boolean(), ({ program, seed, relaxed }, sizes, kinds, longRows) => {
        reset()
        if (longRows) sizes = [...sizes.slice(0, -1), sizes[sizes.length - 1]! * 6 + 1]
        const rank = sizes.length
        const count = sizes.reduce((a, b) => a * b, 1)
        const random = numbers(seed)
        const scalars = [convert('float32', random()), random()]
        let inner = 0
        let kind = 0
        const strides: number[][] = []
        const bases: number[] = []
        const operands = [...program.outTypes, ...program.inTypes]
        operands.forEach((type, o) => {
          const output = o < program.outTypes.length
          const width = dtypes[type].bytes
          const own = new Array<number>(rank)
          // Dense in some order of dims, with a gap, so that no two elements share a place; inputs may repeat (stride 0).
          const order = sizes.map((_, d) => d).reverse()
          if (kinds[kind++ % kinds.length]! > 2) order.reverse()
          let extent = kinds[kind++ % kinds.length]! > 3 ? 2 : 1
          for (const d of order) {
            own[d] = extent
            extent *= sizes[d]!
          }
          if (!output) for (let d = 0; d < rank; d++) if (kinds[kind++ % kinds.length] === 0) own[d] = 0
          const last = own[rank - 1]!
          inner += (last === 1 ? UNIT : last === 0 ? FIXED : ANY) * 4 ** o
          let base = place(type, extent)
          // Backwards along the outermost dim, now and then.
          if (rank > 1 && kinds[kind++ % kinds.length] === 1) {
            base += own[0]! * (sizes[0]! - 1) * width
            own[0] = -own[0]!
          }
          bases.push(base)
          strides.push(own.map((s) => s * width))
        })
        const address = (o: number, i: number): number => {
          let at = bases[o]!
          for (let d = rank - 1; d >= 0; d--) {
            at += (i % sizes[d]!) * strides[o]![d]!
            i = Math.floor(i / sizes[d]!)
          }
          return at
        }
        const outs = program.outTypes.length
        program.inTypes.forEach((type, k) => {
          for (let i = 0; i < count; i++) write(type, address(outs + k, i), value(type, random()))
        })
        const values = program.inTypes.map((type, k) => Array.from({ length: count }, (_, i) => read(type, address(outs + k, i))))
        memory.i32.set([rank, ...sizes, ...operands.flatMap((_, o) => [bases[o]!, ...strides[o]!])], memory.scratch / 4)
        compileStrided(memory, program, inner, { relaxed })(memory.scratch, ...scalars)
        check(program, count, values, scalars, address)
      }),
      { numRuns: 1500, seed: 2 },
    )
  })

  test('do nothing for an empty dim, and one element with strides of zero', () => {
    reset()
    const program = new Program([input(0).mul(2)], ['float32'], ['float32'], 0, 'float32')
    const at = place('float32', 8)
    memory.f32.set([5, 6, 7, 8], at / 4)
    memory.i32.set([2, 0, 4, at, 16, 4, at, 16, 4], memory.scratch / 4)
    compileStrided(memory, program, UNIT, { relaxed: false })(memory.scratch)
    expect(memory.f32[at / 4]).toBe(5)
    memory.i32.set([1, 1, at, 0, at, 0], memory.scratch / 4)
    compileStrided(memory, program, FIXED + 4 * FIXED, { relaxed: false })(memory.scratch)
    expect([...memory.f32.subarray(at / 4, at / 4 + 2)]).toEqual([10, 6])
  })
})

describe('an element’s result does not depend on its place', () => {
  const names = [
    'exp',
    'exp2',
    'expm1',
    'log',
    'log2',
    'log10',
    'log1p',
    'sin',
    'cos',
    'tan',
    'tanh',
    'erf',
    'sigmoid',
    'asinh',
    'sqrt',
    'sign',
  ] as const
  for (const relaxed of modes) {
    for (const type of ['float32', 'float64'] as const) {
      test(`${type}${relaxed ? ', relaxed' : ''}`, () => {
        const width = dtypes[type].bytes
        const count = 41
        for (const name of names) {
          reset()
          const program = new Program([input(0)[name]()], [type], [type], 0, type)
          const from = place(type, count)
          const whole = place(type, count)
          const parts = place(type, count)
          const spread = place(type, 3 * count)
          const random = numbers(7)
          for (let i = 0; i < count; i++) write(type, from + i * width, i % 5 === 4 ? 1e7 + i : random())
          const flat = compileFlat(memory, program, 0, { relaxed })
          flat(count, whole, from)
          for (let i = 0; i < count; i++) flat(1, parts + i * width, from + i * width)
          memory.i32.set([1, count, spread, 3 * width, from, width], memory.scratch / 4)
          compileStrided(memory, program, ANY + 4 * UNIT, { relaxed })(memory.scratch)
          for (let i = 0; i < count; i++) {
            const x = read(type, whole + i * width)
            expect([name, i, read(type, parts + i * width), read(type, spread + 3 * i * width)]).toEqual([name, i, x, x])
          }
        }
      })
    }
  }
})
