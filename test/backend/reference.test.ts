/** The reference backend against naive loops and hand-computed values. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { IndexOp, ReduceOp, StridedKernel, Window2d } from '../../src/backend/backend.ts'
import { fold2d, maxPool2d, unfold2d } from '../../src/backend/jobs/window.ts'
import { createReferenceBackend } from '../../src/backend/reference/reference.ts'
import { type BinaryOp, type ComputeType, constant, input, Program, Scalar, scalar, type UnaryOp } from '../../src/backend/scalar.ts'
import { type DType, dtypes, type TypedArray } from '../../src/dtype.ts'
import { linearMemory } from '../../src/memory/linear.ts'

const memory = linearMemory()
memory.grow(8 * 1048576)
const backend = createReferenceBackend(memory)

const DTYPES: readonly DType[] = ['float32', 'float64', 'int32', 'uint8', 'bool']
let top = 0
beforeEach(() => {
  top = 65536
})

function view(d: DType): TypedArray {
  return d === 'float32' ? memory.f32 : d === 'float64' ? memory.f64 : d === 'int32' ? memory.i32 : memory.u8
}
/** An address with room for n elements, spoilt so that unwritten results show. */
function room(d: DType, n: number): number {
  const at = Math.ceil(top / 16) * 16
  top = at + n * dtypes[d].bytes
  memory.u8.fill(0xa5, at, top)
  return at
}
function put(d: DType, values: readonly number[]): number {
  const at = room(d, values.length)
  view(d).set(values, at / dtypes[d].bytes)
  return at
}
function get(d: DType, at: number, n: number): number[] {
  const p = at / dtypes[d].bytes
  return [...view(d).subarray(p, p + n)]
}
let seed = 1
function random(): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 32
}
const whole = (n: number): number => Math.floor(random() * n)
function values(d: DType, n: number): number[] {
  return Array.from({ length: n }, () => {
    if (d === 'bool') return whole(2)
    if (d === 'uint8') return whole(7)
    if (d === 'int32') return whole(9) - 4
    return d === 'float32' ? Math.fround(random() * 4 - 2) : random() * 4 - 2
  })
}
const stored = (d: DType, v: readonly number[]): number[] => {
  if (d === 'float32') return [...Float32Array.from(v)]
  if (d === 'bool') return v.map((x) => (x === 0 ? 0 : 1))
  return d === 'uint8' ? [...Uint8Array.from(v)] : d === 'int32' ? v.map((x) => x | 0) : [...v]
}

function run(
  expression: Scalar,
  out: DType,
  compute: ComputeType,
  ins: readonly (readonly [DType, readonly number[]])[],
  scalars: number[] = [],
): number[] {
  const n = ins[0]![1].length
  const program = new Program(
    [expression],
    [out],
    ins.map(([d]) => d),
    scalars.length,
    compute,
  )
  const y = room(out, n)
  backend.flat(program, 0)(n, y, ...ins.map(([d, v]) => put(d, v)), ...scalars)
  return get(out, y, n)
}
const unary = (op: UnaryOp, d: ComputeType, x: readonly number[]): number[] => run(Scalar.make(op, [input(0)]), d, d, [[d, x]])
const binary = (op: BinaryOp, d: ComputeType, x: readonly number[], y: readonly number[]): number[] =>
  run(Scalar.make(op, [input(0), input(1)]), d, d, [
    [d, x],
    [d, y],
  ])

describe('unary operations', () => {
  const x = [-2.5, -1.5, -0.7, -0.5, 0.5, 0.3, 1, 1.5, 2.5, 3.25, 100]
  const math: Partial<Record<UnaryOp, (a: number) => number>> = {
    neg: (a) => -a,
    abs: Math.abs,
    sign: (x) => Math.sign(x) || 0,
    sqrt: Math.sqrt,
    reciprocal: (a) => 1 / a,
    floor: Math.floor,
    ceil: Math.ceil,
    trunc: Math.trunc,
    exp: Math.exp,
    exp2: (a) => 2 ** a,
    expm1: Math.expm1,
    log: Math.log,
    log2: Math.log2,
    log10: Math.log10,
    log1p: Math.log1p,
    sin: Math.sin,
    cos: Math.cos,
    tan: Math.tan,
    asin: Math.asin,
    acos: Math.acos,
    atan: Math.atan,
    sinh: Math.sinh,
    cosh: Math.cosh,
    tanh: Math.tanh,
    asinh: Math.asinh,
    acosh: Math.acosh,
    atanh: Math.atanh,
  }
  for (const [op, f] of Object.entries(math) as [UnaryOp, (a: number) => number][]) {
    it(`${op} is Math's, rounded to the compute type`, () => {
      expect(unary(op, 'float64', x)).toEqual(x.map(f))
      const single = x.map(Math.fround)
      expect(unary(op, 'float32', single)).toEqual(single.map((a) => Math.fround(f(a))))
    })
  }
  it('round goes to even and keeps the sign of zero', () => {
    const a = [-2.5, -1.5, -0.5, -0.3, -0, 0.5, 1.5, 2.5, 0.49999999999999994, 4503599627370497, NaN, -Infinity]
    expect(unary('round', 'float64', a)).toEqual([-2, -2, -0, -0, -0, 0, 2, 2, 0, 4503599627370497, NaN, -Infinity])
  })
  it('sign is 0 at both zeros and at NaN', () => {
    expect(unary('sign', 'float64', [-3, -0, 0, 2, NaN])).toEqual([-1, 0, 0, 1, 0])
  })
  it('erf', () => {
    const y = unary('erf', 'float64', [0, 0.5, -1, 3, Infinity])
    for (const [i, e] of [0, 0.5204998778130465, -0.8427007929497149, 0.9999779095030014, 1].entries()) expect(y[i]).toBeCloseTo(e, 15)
  })
  it('sigmoid keeps its relative accuracy on both sides', () => {
    const y = unary('sigmoid', 'float64', [-800, -700, -40, 0, 40, 800, NaN])
    expect(y[0]).toBe(0)
    expect(y[1]! / Math.exp(-700)).toBeCloseTo(1, 14)
    expect(y[2]! / Math.exp(-40)).toBeCloseTo(1, 14)
    expect(y.slice(3)).toEqual([0.5, 1, 1, NaN])
  })
  it('int32 wraps and truncates', () => {
    expect(unary('neg', 'int32', [5, -2147483648])).toEqual([-5, -2147483648])
    expect(unary('abs', 'int32', [-5, -2147483648])).toEqual([5, -2147483648])
    expect(unary('sign', 'int32', [-5, 0, 7])).toEqual([-1, 0, 1])
    expect(unary('floor', 'int32', [-5, 7])).toEqual([-5, 7])
    expect(unary('sqrt', 'int32', [9, 8, 2])).toEqual([3, 2, 1])
  })
})

describe('binary operations', () => {
  it('float32 rounds after every operation', () => {
    const [a, b, c] = [1 / 3, 3.7, 1e7].map(Math.fround) as [number, number, number]
    const y = run(input(0).mul(input(1)).add(input(2)), 'float32', 'float32', [
      ['float32', [a]],
      ['float32', [b]],
      ['float32', [c]],
    ])
    expect(y).toEqual([Math.fround(Math.fround(a * b) + c)])
    const tenth = Math.fround(0.1)
    const z = run(input(0).add(0.1).sub(0.1), 'float32', 'float32', [['float32', [a]]])
    expect(z).toEqual([Math.fround(Math.fround(a + tenth) - tenth)])
  })
  it('minimum and maximum propagate NaN from either side', () => {
    expect(binary('minimum', 'float32', [1, NaN, 2, 3], [NaN, 1, -1, Infinity])).toEqual([NaN, NaN, -1, 3])
    expect(binary('maximum', 'float64', [1, NaN, 2, -Infinity], [NaN, 1, -1, 4])).toEqual([NaN, NaN, 2, 4])
  })
  it('remainder has the sign of the divisor, fmod that of the dividend', () => {
    const [a, b] = [
      [5, -5, 5, -5, 5.5, -1, 1],
      [3, 3, -3, -3, 2, Infinity, 0],
    ]
    expect(binary('remainder', 'float64', a, b)).toEqual([2, 1, -1, -2, 1.5, Infinity, NaN])
    expect(binary('fmod', 'float64', a, b)).toEqual([2, -2, 2, -2, 1.5, -1, NaN])
    const [c, d] = [
      [5, -5, 5, -5, 7, -2147483648, 6],
      [3, 3, -3, -3, 0, -1, 3],
    ]
    expect(binary('remainder', 'int32', c, d)).toEqual([2, 1, -1, -2, 0, 0, 0])
    expect(binary('fmod', 'int32', c, d)).toEqual([2, -2, 2, -2, 0, 0, 0])
  })
  it("pow follows IEEE 754, not JavaScript's exceptions", () => {
    expect(binary('pow', 'float64', [1, -1, -1, NaN, 2, -8, -8, 0], [NaN, Infinity, -Infinity, 0, -1, 1 / 3, 3, -1])).toEqual([
      1,
      1,
      1,
      1,
      0.5,
      NaN,
      -512,
      Infinity,
    ])
  })
  it('int32 arithmetic wraps; division by zero gives 0', () => {
    expect(binary('add', 'int32', [2147483647], [1])).toEqual([-2147483648])
    expect(binary('sub', 'int32', [-2147483648], [1])).toEqual([2147483647])
    expect(binary('mul', 'int32', [123456789, 65536], [987654321, 65536])).toEqual([Math.imul(123456789, 987654321), 0])
    expect(binary('div', 'int32', [7, -7, 5, -2147483648], [2, 2, 0, -1])).toEqual([3, -3, 0, 2147483647])
    expect(binary('pow', 'int32', [3, 3, 2, 10, -1, -1, 1, 5, 0], [0, 13, 31, 10, -3, -2, -9, -1, 0])).toEqual([
      1,
      1594323,
      -2147483648,
      Number(BigInt.asIntN(32, 10n ** 10n)),
      -1,
      1,
      1,
      0,
      1,
    ])
    expect(binary('minimum', 'int32', [3, -4], [2, 9])).toEqual([2, -4])
  })
  it('atan2', () => {
    expect(binary('atan2', 'float64', [1, -1, -0], [-1, 0, -1])).toEqual([Math.atan2(1, -1), -Math.PI / 2, -Math.PI])
  })
})

describe('masks', () => {
  const a = [1, 2, 3, NaN]
  const b = [2, 2, 2, 2]
  it('comparisons with NaN are false except ne', () => {
    const test = (m: Scalar): number[] =>
      run(m, 'bool', 'float64', [
        ['float64', a],
        ['float64', b],
      ])
    expect(test(input(0).lt(input(1)))).toEqual([1, 0, 0, 0])
    expect(test(input(0).le(input(1)))).toEqual([1, 1, 0, 0])
    expect(test(input(0).gt(input(1)))).toEqual([0, 0, 1, 0])
    expect(test(input(0).ge(input(1)))).toEqual([0, 1, 1, 0])
    expect(test(input(0).eq(input(1)))).toEqual([0, 1, 0, 0])
    expect(test(input(0).ne(input(1)))).toEqual([1, 0, 1, 1])
  })
  it('and, or, xor, not; numbers count as "is not zero"', () => {
    const test = (m: Scalar): number[] =>
      run(m, 'bool', 'float32', [
        ['float32', [0, 0, 3, NaN]],
        ['float32', [0, 2, 0, 1]],
      ])
    expect(test(input(0).logicalAnd(input(1)))).toEqual([0, 0, 0, 1])
    expect(test(input(0).logicalOr(input(1)))).toEqual([0, 1, 1, 1])
    expect(test(input(0).logicalXor(input(1)))).toEqual([0, 1, 1, 0])
    expect(test(input(0).logicalNot())).toEqual([1, 1, 0, 0])
  })
  it('a mask used as a number is 1 or 0', () => {
    expect(run(input(0).gt(1).mul(5).add(input(0).gt(2)), 'float64', 'float64', [['float64', a]])).toEqual([0, 5, 6, 0])
  })
  it('where lets nothing through from the other side', () => {
    const y = run(input(0).log().where(input(0).gt(0), 0), 'float32', 'float32', [['float32', [-1, 0, 1, NaN]]])
    expect(y).toEqual([0, 0, 0, 0])
  })
})

describe('conversions', () => {
  const x = [1.9, -1.9, 300.7, -1.2, 3e9, -3e9, NaN, Infinity]
  const cast = (from: DType, to: DType, compute: ComputeType, v: readonly number[]): number[] => run(input(0), to, compute, [[from, v]])
  it('floats to int32 truncate and saturate, to uint8 then wrap', () => {
    const ints = [1, -1, 300, -1, 2147483647, -2147483648, 0, 2147483647]
    for (const compute of ['int32', 'float64'] as const) expect(cast('float64', 'int32', compute, x)).toEqual(ints)
    for (const compute of ['int32', 'float64'] as const) expect(cast('float64', 'uint8', compute, x)).toEqual(ints.map((v) => v & 255))
  })
  it('anything not zero is true, NaN too', () => {
    expect(cast('float32', 'bool', 'float32', [0, -0, 0.5, NaN, -3])).toEqual([0, 0, 1, 1, 1])
    expect(cast('int32', 'bool', 'int32', [0, 256, -1])).toEqual([0, 1, 1])
  })
  it('integers, bools and doubles to floats round to the nearest', () => {
    expect(cast('int32', 'float32', 'float32', [16777217, -5])).toEqual([16777216, -5])
    expect(cast('bool', 'float64', 'float64', [0, 1])).toEqual([0, 1])
    expect(cast('float64', 'float32', 'float32', [0.1, 1e300])).toEqual([Math.fround(0.1), Infinity])
    expect(cast('int32', 'uint8', 'int32', [-1, 256, 511])).toEqual([255, 0, 255])
  })
  it('run-time scalars and constants become the compute type', () => {
    const y = run(input(0).mul(scalar(0)), 'float32', 'float32', [['float32', [1, 3]]], [0.1])
    expect(y).toEqual([0.1, 3 * Math.fround(0.1)].map(Math.fround))
    expect(run(input(0).add(scalar(1)).sub(scalar(0)), 'int32', 'int32', [['int32', [1, 3]]], [1.9, -7.9])).toEqual([-7, -5])
    expect(run(input(0).add(constant(0.1)), 'float64', 'float64', [['float64', [1]]])).toEqual([1.1])
  })
})

describe('loops', () => {
  it('flat: several outputs, in place, one-element inputs, over many tiles', () => {
    const n = 1300
    const [p, g] = [values('float64', n), values('float64', n)]
    const program = new Program(
      [input(0).sub(input(1).mul(scalar(0))), input(1).mul(input(2))],
      ['float64', 'float64'],
      ['float64', 'float64', 'float64'],
      1,
      'float64',
    )
    const [pAt, gAt, three] = [put('float64', p), put('float64', g), put('float64', [3])]
    backend.flat(program, 0b100)(n, pAt, gAt, pAt, gAt, three, 0.5)
    expect(get('float64', pAt, n)).toEqual(p.map((v, i) => v - g[i]! * 0.5))
    expect(get('float64', gAt, n)).toEqual(g.map((v) => v * 3))
  })
  it('flat: no elements, no change', () => {
    const at = put('float32', [7])
    backend.flat(new Program([input(0).neg()], ['float32'], ['float32'], 0, 'float32'), 0)(0, at, at)
    expect(get('float32', at, 1)).toEqual([7])
  })

  function describeLoop(sizes: number[], operands: readonly (readonly [number, readonly number[]])[]): number {
    const words = [sizes.length, ...sizes, ...operands.flatMap(([base, strides]) => [base | 0, ...strides])]
    memory.i32.set(words, memory.scratch / 4)
    return memory.scratch
  }
  const sum = new Program([input(0).add(input(1))], ['float32'], ['float32', 'int32'], 0, 'float32')
  it('strided: transposed, broadcast, negative strides and rank 0', () => {
    const [r, c] = [37, 45]
    const [a, b] = [values('float32', r * c), values('int32', c)]
    const [aAt, bAt, y] = [put('float32', a), put('int32', b), room('float32', r * c)]
    const kernel: StridedKernel = backend.strided(sum, 0)
    // out[i, j] = a^T[i, j] + b reversed over i
    kernel(
      describeLoop(
        [c, r],
        [
          [y, [4 * r, 4]],
          [aAt, [4, 4 * c]],
          [bAt + 4 * (c - 1), [-4, 0]],
        ],
      ),
    )
    const expected: number[] = []
    for (let i = 0; i < c; i++) for (let j = 0; j < r; j++) expected.push(Math.fround(a[j * c + i]! + b[c - 1 - i]!))
    expect(get('float32', y, r * c)).toEqual(expected)
    kernel(
      describeLoop(
        [],
        [
          [y, []],
          [aAt, []],
          [bAt, []],
        ],
      ),
    )
    expect(get('float32', y, 2)).toEqual([Math.fround(a[0]! + b[0]!), expected[1]])
    kernel(
      describeLoop(
        [3, 0],
        [
          [y, [0, 4]],
          [aAt, [0, 4]],
          [bAt, [0, 4]],
        ],
      ),
    )
    expect(get('float32', y, 2)).toEqual([Math.fround(a[0]! + b[0]!), expected[1]])
  })
  it('strided: four dims, output with gaps', () => {
    const sizes = [3, 1, 4, 5]
    const a = values('float32', 60)
    const b = values('int32', 5)
    const [aAt, bAt, y] = [put('float32', a), put('int32', b), put('float32', new Array<number>(120).fill(-9))]
    backend.strided(
      sum,
      0,
    )(
      describeLoop(sizes, [
        [y, [160, 0, 40, 8]],
        [aAt, [80, 999, 20, 4]],
        [bAt, [0, 0, 0, 4]],
      ]),
    )
    const expected = Array.from({ length: 120 }, (_, i) => (i % 2 ? -9 : Math.fround(a[i / 2]! + b[(i / 2) % 5]!)))
    expect(get('float32', y, 120)).toEqual(expected)
  })
  it('works above 2 GiB and across growth of the memory', ({ skip }) => {
    const high = 2 ** 31 + 4096
    const flat = backend.flat(sum, 0)
    const strided = backend.strided(sum, 0)
    if (!memory.grow(high + 65536)) skip('no address space above 2 GiB here')
    memory.f32.set([1, 2, 3], high / 4)
    memory.i32.set([10, 20, 30], high / 4 + 16)
    flat(3, high + 128, high, high + 64)
    expect(get('float32', high + 128, 3)).toEqual([11, 22, 33])
    strided(
      describeLoop(
        [3],
        [
          [high + 256, [4]],
          [high + 8, [-4]],
          [high + 64, [4]],
        ],
      ),
    )
    expect(get('float32', high + 256, 3)).toEqual([13, 22, 31])
    memory.i32.set([2, 0], high / 4 + 32)
    backend.index('indexSelect', 'uint8')(1, 3, 4, 2, high, high + 128, high + 512)
    expect(get('float32', high + 512, 2)).toEqual([3, 1])
    backend.matmul('float32')(1, 1, 1, 3, high, 0, 3, 1, high, 0, 1, 1, high + 640, 0, 0, 0)
    expect(get('float32', high + 640, 1)).toEqual([14])
  })
})

describe('reductions', () => {
  const [outer, n, inner] = [3, 5, 4]
  const naive: Record<ReduceOp, (v: number[]) => number> = {
    sum: (v) => v.reduce((a, b) => a + b, 0),
    prod: (v) => v.reduce((a, b) => a * b, 1),
    max: (v) => Math.max(...v),
    min: (v) => Math.min(...v),
    argmax: (v) => v.indexOf(Math.max(...v)),
    argmin: (v) => v.indexOf(Math.min(...v)),
    any: (v) => (v.some((x) => x !== 0) ? 1 : 0),
    all: (v) => (v.every((x) => x !== 0) ? 1 : 0),
  }
  const outType = (op: ReduceOp, d: DType): DType => {
    if (op === 'any' || op === 'all') return 'bool'
    if (op === 'argmax' || op === 'argmin') return 'int32'
    return op === 'max' || op === 'min' || dtypes[d].floating ? d : 'int32'
  }
  for (const op of Object.keys(naive) as ReduceOp[]) {
    it(op, () => {
      for (const d of DTYPES) {
        const x = values(d, outer * n * inner)
        const expected: number[] = []
        for (let o = 0; o < outer; o++) {
          for (let i = 0; i < inner; i++) expected.push(naive[op](Array.from({ length: n }, (_, j) => x[(o * n + j) * inner + i]!)))
        }
        const out = outType(op, d)
        const y = room(out, outer * inner)
        expect(backend.reduce(op, d, inner === 1)(outer, n, inner, put(d, x), y)).toBe(0)
        const got = get(out, y, outer * inner)
        for (const [k, e] of expected.entries()) expect(got[k], `${op} ${d}`).toBeCloseTo(e, d === 'float32' ? 5 : 13)
      }
    })
  }
  const one = (op: ReduceOp, d: DType, x: number[]): [number, number] => {
    const out = outType(op, d)
    const y = room(out, 1)
    const status = backend.reduce(op, d, true)(1, x.length, 1, put(d, x), y)
    return [status, get(out, y, 1)[0]!]
  }
  it('of nothing', () => {
    expect(one('sum', 'float32', [])).toEqual([0, 0])
    expect(one('prod', 'int32', [])).toEqual([0, 1])
    expect(one('any', 'bool', [])).toEqual([0, 0])
    expect(one('all', 'bool', [])).toEqual([0, 1])
  })
  it('NaN wins, and is true', () => {
    const x = [1, NaN, 7, NaN, -2]
    expect(one('max', 'float32', x)[1]).toBeNaN()
    expect(one('min', 'float64', x)[1]).toBeNaN()
    expect(one('argmax', 'float32', x)[1]).toBe(1)
    expect(one('argmin', 'float64', x)[1]).toBe(1)
    expect(one('all', 'float32', [1, NaN])[1]).toBe(1)
    expect(one('any', 'float32', [0, NaN])[1]).toBe(1)
    expect(one('argmax', 'int32', [1, 4, 4])[1]).toBe(1)
    expect(one('max', 'float32', [-Infinity, -Infinity])[1]).toBe(-Infinity)
  })
  it('long float32 sums are rounded once', () => {
    expect(one('sum', 'float32', new Array<number>(100000).fill(Math.fround(0.1)))[1]).toBe(Math.fround(100000 * Math.fround(0.1)))
    const x = values('float64', 10001)
    const exact = x.reduce((s, v) => s + BigInt(Math.round(v * 2 ** 50)), 0n)
    expect(one('sum', 'float64', x)[1]).toBeCloseTo(Number(exact) / 2 ** 50, 11)
  })
  it('integer sums and products are exact or report overflow', () => {
    expect(one('sum', 'int32', [2147483647, 1])[0]).toBe(1)
    expect(one('sum', 'int32', [2147483647, 2147483647, -2147483648, -2147483646])).toEqual([0, 0])
    expect(one('sum', 'uint8', new Array<number>(1000).fill(255))).toEqual([0, 255000])
    expect(one('sum', 'bool', new Array<number>(700).fill(1))).toEqual([0, 700])
    expect(one('prod', 'int32', [65536, 65536])[0]).toBe(1)
    expect(one('prod', 'int32', [65536, 32768])[0]).toBe(1)
    expect(one('prod', 'int32', [65536, 32768, -1])).toEqual([0, -2147483648])
    expect(one('prod', 'int32', [65536, 65536, 65536, 65536, 0])).toEqual([0, 0])
    expect(one('prod', 'uint8', [200, 200, 2])).toEqual([0, 80000])
  })
  it('integer sums stay exact where doubles would not', () => {
    const count = 2 ** 22 + 3
    memory.grow(32 * 1048576)
    const at = 65536 * 8
    memory.i32.fill(2147483647, at / 4, at / 4 + count)
    memory.i32.fill(-2147483647, at / 4 + count, at / 4 + 2 * count)
    memory.i32[at / 4 + 2 * count] = 5
    const y = put('int32', [0])
    expect(backend.reduce('sum', 'int32', true)(1, 2 * count + 1, 1, at, y)).toBe(0)
    expect(get('int32', y, 1)).toEqual([5])
  })
  it('running sums and products', () => {
    for (const op of ['sum', 'prod'] as const) {
      for (const d of DTYPES) {
        const x = values(d, outer * n * inner)
        const out: DType = dtypes[d].floating ? d : 'int32'
        const y = room(out, x.length)
        backend.scan(op, d)(outer, n, inner, put(d, x), y)
        const expected = [...x]
        for (let k = 0; k < x.length; k++) {
          if (Math.floor(k / inner) % n > 0) expected[k] = op === 'sum' ? expected[k - inner]! + x[k]! : expected[k - inner]! * x[k]!
        }
        // `+ 0`: an integer product has no negative zero.
        expect(get(out, y, x.length), `${op} ${d}`).toEqual(stored(out, expected).map((v) => (out === 'int32' ? v + 0 : v)))
      }
    }
    const y = room('int32', 2)
    backend.scan('sum', 'int32')(1, 2, 1, put('int32', [2147483647, 1]), y)
    expect(get('int32', y, 2)).toEqual([2147483647, -2147483648])
  })
})

describe('matmul', () => {
  it('any strides, batches, repeated matrices, accumulation', () => {
    const [batch, m, n, k] = [3, 4, 5, 6]
    for (const d of ['float32', 'float64', 'int32', 'uint8'] as const) {
      for (const [aT, bT, repeat, accumulate] of [
        [0, 0, 0, 0],
        [1, 0, 1, 1],
        [0, 1, 0, 1],
        [1, 1, 1, 0],
      ] as const) {
        const [a, b, c] = [values(d, batch * m * k), values(d, batch * k * n), values(d, batch * m * n)]
        const [ar, ac] = aT ? [1, m] : [k, 1]
        const [br, bc] = bT ? [1, k] : [n, 1]
        const bBatch = repeat ? 0 : k * n
        const y = put(d, c)
        backend.matmul(d)(batch, m, n, k, put(d, a), m * k, ar, ac, put(d, b), bBatch, br, bc, y, m * n, accumulate, 0)
        const expected = c.map((old, p) => {
          const [s, i, j] = [Math.floor(p / (m * n)), Math.floor(p / n) % m, p % n]
          let sum = accumulate ? old : 0
          for (let l = 0; l < k; l++) sum += a[s * m * k + i * ar + l * ac]! * b[s * bBatch + l * br + j * bc]!
          return sum
        })
        expect(get(d, y, c.length)).toEqual(stored(d, expected))
      }
    }
  })
  it('int32 wraps, NaN spreads through zeros, an empty inner dim gives zeros', () => {
    const y = room('int32', 1)
    backend.matmul('int32')(1, 1, 1, 2, put('int32', [2147483647, 65537]), 0, 2, 1, put('int32', [3, 65537]), 0, 1, 1, y, 0, 0, 0)
    expect(get('int32', y, 1)).toEqual([(Math.imul(2147483647, 3) + Math.imul(65537, 65537)) | 0])
    const z = room('float32', 1)
    backend.matmul('float32')(1, 1, 1, 1, put('float32', [0]), 0, 1, 1, put('float32', [NaN]), 0, 1, 1, z, 0, 0, 0)
    expect(get('float32', z, 1)).toEqual([NaN])
    backend.matmul('float32')(1, 1, 1, 0, z, 0, 0, 1, z, 0, 1, 1, z, 0, 0, 0)
    expect(get('float32', z, 1)).toEqual([0])
    expect(backend.matmulWork('float32', 100, 100, 100)).toBe(0)
    expect(() => backend.matmul('bool')).toThrow(/bool/)
  })
})

describe('index operations', () => {
  const apply = (op: IndexOp, d: DType, [outer, n, inner, m]: readonly [number, number, number, number]): void => {
    const full = op === 'gather' || op === 'scatter' || op === 'scatterAdd'
    const reads = op === 'gather' || op === 'indexSelect'
    const [big, small] = [values(d, outer * n * inner), values(d, outer * m * inner)]
    const index = Array.from({ length: full ? outer * m * inner : m }, () => whole(n))
    const [bigAt, indexAt, smallAt] = [put(d, big), put('int32', index), put(d, small)]
    backend.index(op, d)(outer, n, inner, m, bigAt, indexAt, smallAt)
    for (let o = 0; o < outer; o++) {
      for (let j = 0; j < m; j++) {
        for (let i = 0; i < inner; i++) {
          const s = (o * m + j) * inner + i
          const b = (o * n + index[full ? s : j]!) * inner + i
          if (reads) small[s] = big[b]!
          else if (op === 'scatter' || op === 'indexCopy') big[b] = small[s]!
          else big[b] = stored(d, [big[b]! + small[s]!])[0]!
        }
      }
    }
    expect(get(d, bigAt, big.length), `${op} ${d}`).toEqual(big)
    expect(get(d, smallAt, small.length), `${op} ${d}`).toEqual(small)
  }
  for (const op of ['gather', 'scatter', 'scatterAdd', 'indexSelect', 'indexCopy', 'indexAdd'] as const) {
    it(op, () => {
      for (const d of DTYPES) {
        for (const sizes of [
          [2, 5, 3, 7],
          [1, 4, 100, 3],
          [6, 3, 1, 2],
          [2, 3, 4, 0],
        ] as const)
          apply(op, d, sizes)
      }
    })
  }
  it('moves keep every value as it is', () => {
    const y = room('float32', 4)
    backend.index('indexSelect', 'float32')(1, 4, 1, 4, put('float32', [-0, NaN, Infinity, 1e-45]), put('int32', [3, 2, 1, 0]), y)
    expect(get('float32', y, 4)).toEqual([Math.fround(1e-45), Infinity, NaN, -0])
  })
})

describe('windows', () => {
  interface Case {
    readonly h: number
    readonly w: number
    readonly win: Window2d
  }
  const cases: readonly Case[] = [
    { h: 6, w: 7, win: { kernel: [3, 2], stride: [1, 1], padding: [0, 0], dilation: [1, 1] } },
    { h: 6, w: 5, win: { kernel: [3, 3], stride: [2, 1], padding: [1, 1], dilation: [1, 1] } },
    { h: 7, w: 9, win: { kernel: [2, 3], stride: [3, 2], padding: [1, 2], dilation: [2, 3] } },
    { h: 4, w: 4, win: { kernel: [4, 4], stride: [1, 1], padding: [2, 2], dilation: [1, 1] } },
    { h: 1, w: 3, win: { kernel: [2, 2], stride: [1, 1], padding: [1, 1], dilation: [2, 1] } },
  ]
  const size = (x: number, k: number, s: number, p: number, d: number): number => Math.floor((x + 2 * p - d * (k - 1) - 1) / s) + 1
  const outSize = ({ h, w, win }: Case): [number, number] => [
    size(h, win.kernel[0], win.stride[0], win.padding[0], win.dilation[0]),
    size(w, win.kernel[1], win.stride[1], win.padding[1], win.dilation[1]),
  ]
  /** Position in the image of each element of each window, row-major; -1 outside. */
  function windowsOf(c: Case): number[][] {
    const [oh, ow] = outSize(c)
    const all: number[][] = []
    for (let oy = 0; oy < oh; oy++) {
      for (let ox = 0; ox < ow; ox++) {
        const one: number[] = []
        for (let ky = 0; ky < c.win.kernel[0]; ky++) {
          for (let kx = 0; kx < c.win.kernel[1]; kx++) {
            const y = oy * c.win.stride[0] + ky * c.win.dilation[0] - c.win.padding[0]
            const x = ox * c.win.stride[1] + kx * c.win.dilation[1] - c.win.padding[1]
            one.push(y >= 0 && y < c.h && x >= 0 && x < c.w ? y * c.w + x : -1)
          }
        }
        all.push(one)
      }
    }
    return all
  }
  const [n, ch] = [2, 3]
  it('unfold2d and fold2d', () => {
    for (const c of cases) {
      const [oh, ow] = outSize(c)
      const windows = windowsOf(c)
      const plane = c.h * c.w
      // Where each element of the columns comes from, in the order [n, c, kh, kw, oh, ow]; all rows, and the last one alone.
      for (const first of oh > 1 ? [0, oh - 1] : [0]) {
        const rows = oh - first
        const from: number[] = []
        for (let q = 0; q < n * ch; q++) {
          windows[0]!.forEach((_, place) => {
            for (const one of windows.slice(first * ow)) from.push(one[place]! < 0 ? -1 : q * plane + one[place]!)
          })
        }
        for (const d of DTYPES) {
          const image = values(d, n * ch * plane)
          const columns = room(d, from.length)
          backend.job(unfold2d, d)(n * ch, c.h, c.w, first, rows, ow, c.win, put(d, image), columns)
          expect(get(d, columns, from.length)).toEqual(from.map((p) => (p < 0 ? 0 : image[p]!)))

          const grads = values(d, from.length)
          const sums = new Array<number>(image.length).fill(0)
          for (const [k, p] of from.entries()) if (p >= 0) sums[p] = stored(d, [sums[p]! + grads[k]!])[0]!
          const back = put(
            d,
            sums.map(() => 0),
          )
          backend.job(fold2d, d)(n * ch, c.h, c.w, first, rows, ow, c.win, back, put(d, grads))
          expect(get(d, back, image.length)).toEqual(sums)
        }
      }
    }
  })
  it('maxPool2d', () => {
    for (const c of cases) {
      const [oh, ow] = outSize(c)
      const windows = windowsOf(c)
      for (const d of DTYPES) {
        const image = values(d, n * c.h * c.w)
        if (dtypes[d].floating) image[3 % image.length] = NaN
        const [y, at] = [room(d, n * oh * ow), room('int32', n * oh * ow)]
        backend.job(maxPool2d, d)(n, c.h, c.w, oh, ow, c.win, put(d, image), y, at)
        const [best, places]: [number[], number[]] = [[], []]
        for (let s = 0; s < n; s++) {
          for (const one of windows) {
            const inside = one.filter((p) => p >= 0)
            const pixels = inside.map((p) => image[s * c.h * c.w + p]!)
            const nan = pixels.findIndex(Number.isNaN)
            const k = nan >= 0 ? nan : pixels.indexOf(Math.max(...pixels))
            best.push(pixels[k] ?? (dtypes[d].floating ? -Infinity : d === 'int32' ? -2147483648 : 0))
            places.push(inside[k] ?? 0)
          }
        }
        expect(get(d, y, best.length)).toEqual(best)
        expect(get('int32', at, places.length)).toEqual(places)
      }
    }
  })
})
