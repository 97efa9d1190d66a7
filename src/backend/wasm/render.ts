/** Elementwise expressions as vector instructions: what each operation is on lanes of float32, float64 or int32. */
import type { DType } from '../../dtype.ts'
import { UnsupportedError } from '../../errors.ts'
import type { ComputeType, Program, Scalar, ScalarOp } from '../scalar.ts'
import { type Local, V128 } from './assembler.ts'
import { DOUBLES, pow64 } from './double.ts'
import { cos, erf, exp, exp2, expm1, log, log10, log1p, log2, sigmoid, sin, tanh, type VectorFunction } from './math.ts'
import { EVEN_WORDS, HIGH_HALF, LOW_HALVES, type Vec, type VectorGraph } from './vector.ts'

type Lanes = 'f32x4' | 'f64x2' | 'i32x4'

/** The lanes of each compute type. */
export const LANES: Readonly<Record<ComputeType, Lanes>> = { float32: 'f32x4', float64: 'f64x2', int32: 'i32x4' }

/** What kernels import: float64 functions that are better called than computed in lanes. */
export const IMPORTS: Readonly<Record<string, (...args: number[]) => number>> = {
  sin: Math.sin, cos: Math.cos, tan: Math.tan, asin: Math.asin, acos: Math.acos, atan: Math.atan, atan2: Math.atan2,
  sinh: Math.sinh, cosh: Math.cosh, asinh: Math.asinh, acosh: Math.acosh, atanh: Math.atanh,
  pow: Math.pow, fmod: (a, b) => a! % b!,
}

/** The functions that float32 lanes compute themselves; the others are called in float64 and rounded. */
const POLYNOMIALS: Readonly<Partial<Record<ScalarOp, VectorFunction>>> = {
  exp, exp2, expm1, log, log2, log10, log1p, sin, cos, tanh, erf, sigmoid,
}

/** An array operand as the loop sees it: its elements as they lie in memory, in one vector or two. */
export interface Loaded {
  readonly type: DType
  readonly parts: readonly Vec[]
}

/** The outputs of a program as vectors ready to be stored, each in one vector or two. */
export function render(g: VectorGraph, program: Program, inputs: readonly (Loaded | undefined)[]): Vec[][] {
  const known = new Map<Scalar, Vec>()
  const rules = new Rules(g, program.compute, inputs)
  const visit = (node: Scalar): Vec => {
    let value = known.get(node)
    if (value === undefined) known.set(node, (value = rules.apply(node, node.args.map(visit))))
    return value
  }
  return program.outputs.map((node, i) => rules.stored(visit(node), node.mask, program.outTypes[i]!))
}

/** The inputs that a program's outputs mention. */
export function usedInputs(program: Program): ReadonlySet<number> {
  const used = new Set<number>()
  const seen = new Set<Scalar>()
  const visit = (node: Scalar): void => {
    if (seen.has(node)) return
    seen.add(node)
    if (node.op === 'input') used.add(node.value)
    node.args.forEach(visit)
  }
  program.outputs.forEach(visit)
  return used
}

class Rules {
  readonly #g: VectorGraph
  readonly #compute: ComputeType
  readonly #lanes: Lanes
  readonly #inputs: readonly (Loaded | undefined)[]

  constructor(g: VectorGraph, compute: ComputeType, inputs: readonly (Loaded | undefined)[]) {
    this.#g = g
    this.#compute = compute
    this.#lanes = LANES[compute]
    this.#inputs = inputs
  }

  apply(node: Scalar, args: readonly Vec[]): Vec {
    const g = this.#g
    switch (node.op) {
      case 'input':
        return this.#converted(this.#inputs[node.value]!)
      case 'scalar':
        return g.scalar(this.#lanes, node.value)
      case 'const':
        return this.#constant(node.value)
      case 'number':
        return g.select(args[0]!, this.#constant(1), this.#constant(0))
      case 'where':
        return g.select(args[0]!, args[1]!, args[2]!)
      case 'not':
        return g.op('v128', 'not', args[0]!)
      case 'and':
      case 'or':
      case 'xor':
        return g.op('v128', node.op, args[0]!, args[1]!)
      case 'ne':
        return this.#truth(node) ?? this.#compare('ne', args[0]!, args[1]!)
      case 'lt':
      case 'le':
      case 'gt':
      case 'ge':
      case 'eq':
        return this.#compare(node.op, args[0]!, args[1]!)
      default:
        return this.#compute === 'int32' ? this.#integer(node.op, args) : this.#float(node.op, this.#lanes as 'f32x4' | 'f64x2', args)
    }
  }

  /** A result as it is stored in an array of this type. */
  stored(value: Vec, mask: boolean, type: DType): Vec[] {
    const g = this.#g
    if (type === 'bool') {
      const truth = mask ? value : this.#compare('ne', value, this.#constant(0))
      return [g.op('v128', 'and', this.#bytes(truth), g.i32(0x01010101))]
    }
    const v = mask ? g.select(value, this.#constant(1), this.#constant(0)) : value
    switch (this.#lanes) {
      case 'f32x4':
        if (type === 'float32') return [v]
        if (type === 'float64') return [v, g.shuffle(v, v, HIGH_HALF)].map((half) => g.op('f64x2', 'promote_low_f32x4', half))
        return this.#storedInteger(g.op('i32x4', 'trunc_sat_f32x4_s', v), type)
      case 'f64x2':
        if (type === 'float64') return [v]
        if (type === 'float32') return [g.op('f32x4', 'demote_f64x2_zero', v)]
        return this.#storedInteger(g.op('i32x4', 'trunc_sat_f64x2_s_zero', v), type)
      case 'i32x4':
        if (type === 'float32') return [g.op('f32x4', 'convert_i32x4_s', v)]
        if (type === 'float64') return [v, g.shuffle(v, v, HIGH_HALF)].map((half) => g.op('f64x2', 'convert_low_i32x4_s', half))
        return this.#storedInteger(v, type)
    }
  }

  #storedInteger(words: Vec, type: DType): Vec[] {
    if (type === 'int32') return [words]
    const g = this.#g
    const bytes = g.op('v128', 'and', words, g.i32(255))
    const shorts = g.op('i16x8', 'narrow_i32x4_u', bytes, bytes)
    return [g.op('i8x16', 'narrow_i16x8_u', shorts, shorts)]
  }

  /** A mask as one byte a lane. */
  #bytes(mask: Vec): Vec {
    const g = this.#g
    const words = this.#lanes === 'f64x2' ? g.shuffle(mask, mask, EVEN_WORDS) : mask
    const shorts = g.op('i16x8', 'narrow_i32x4_s', words, words)
    return g.op('i8x16', 'narrow_i16x8_s', shorts, shorts)
  }

  /** Bytes as int32 lanes. */
  #words(bytes: Vec): Vec {
    const g = this.#g
    return g.op('i32x4', 'extend_low_i16x8_u', g.op('i16x8', 'extend_low_i8x16_u', bytes))
  }

  #converted({ type, parts: [first, second] }: Loaded): Vec {
    const g = this.#g
    const raw = type === 'bool' || type === 'uint8' ? this.#words(first!) : first!
    const pair = (convert: (half: Vec) => Vec): Vec => g.shuffle(convert(first!), convert(second!), LOW_HALVES)
    switch (this.#lanes) {
      case 'f32x4':
        if (type === 'float32') return raw
        if (type === 'float64') return pair((half) => g.op('f32x4', 'demote_f64x2_zero', half))
        return g.op('f32x4', 'convert_i32x4_s', raw)
      case 'f64x2':
        if (type === 'float64') return raw
        if (type === 'float32') return g.op('f64x2', 'promote_low_f32x4', raw)
        return g.op('f64x2', 'convert_low_i32x4_s', raw)
      case 'i32x4':
        if (type === 'float32') return g.op('i32x4', 'trunc_sat_f32x4_s', raw)
        if (type === 'float64') return pair((half) => g.op('i32x4', 'trunc_sat_f64x2_s_zero', half))
        return raw
    }
  }

  #constant(value: number): Vec {
    return this.#g.constant(this.#lanes, this.#compute === 'int32' ? value | 0 : this.#compute === 'float32' ? Math.fround(value) : value)
  }

  #compare(op: 'lt' | 'le' | 'gt' | 'ge' | 'eq' | 'ne', a: Vec, b: Vec): Vec {
    if (this.#lanes !== 'i32x4') return this.#g.op(this.#lanes, op, a, b)
    return this.#g.op('i32x4', op === 'eq' || op === 'ne' ? op : `${op}_s`, a, b)
  }

  /** `x ≠ 0` where x is bytes from memory: no conversion to float is needed. */
  #truth(node: Scalar): Vec | undefined {
    const [a, b] = node.args
    if (this.#lanes !== 'f32x4' || a!.op !== 'input' || b!.op !== 'const' || b!.value !== 0) return undefined
    const { type, parts } = this.#inputs[a!.value]!
    if (type !== 'bool' && type !== 'uint8') return undefined
    return this.#g.op('i32x4', 'gt_s', this.#words(parts[0]!), this.#g.i32(0))
  }

  #integer(op: ScalarOp, [a, b]: readonly Vec[]): Vec {
    const g = this.#g
    switch (op) {
      case 'add':
      case 'sub':
      case 'mul':
        return g.op('i32x4', op, a!, b!)
      case 'neg':
      case 'abs':
        return g.op('i32x4', op, a!)
      case 'minimum':
        return g.op('i32x4', 'min_s', a!, b!)
      case 'maximum':
        return g.op('i32x4', 'max_s', a!, b!)
      case 'floor':
      case 'ceil':
      case 'round':
      case 'trunc':
        return a!
      case 'sign':
        return g.op('i32x4', 'sub', g.op('i32x4', 'lt_s', a!, g.i32(0)), g.op('i32x4', 'gt_s', a!, g.i32(0)))
      case 'div': {
        // Exact in float64: a fraction is at least 2⁻³¹ of the quotient away from an integer. A divisor of 0 gives 0.
        const floats = (v: Vec): Vec[] => [v, g.shuffle(v, v, HIGH_HALF)].map((half) => g.op('f64x2', 'convert_low_i32x4_s', half))
        const divisors = floats(b!)
        const [low, high] = floats(a!).map((x, i) => g.op('i32x4', 'trunc_sat_f64x2_s_zero', g.op('f64x2', 'div', x, divisors[i]!)))
        return g.op('v128', 'andnot', g.shuffle(low!, high!, LOW_HALVES), g.op('i32x4', 'eq', b!, g.i32(0)))
      }
      case 'fmod':
        return g.macro('rem', [a!, b!], ({ f }, [x, y]) => {
          // A divisor of 0 becomes 1, whose remainder is 0.
          f.get(x!)
          for (let lane = 0; lane < 4; lane++) {
            const divisor = (): void => f.i32x4.extract_lane(f.get(y!), lane)
            f.i32.rem_s(f.i32x4.extract_lane(f.get(x!), lane), f.i32.or(divisor(), f.i32.eqz(divisor())))
            f.i32x4.replace_lane(lane)
          }
        })
      case 'remainder': {
        const rest = this.#integer('fmod', [a!, b!])
        const zero = g.i32(0)
        const opposite = g.op('i32x4', 'lt_s', g.op('v128', 'xor', rest, b!), zero)
        const away = g.op('v128', 'andnot', opposite, g.op('i32x4', 'eq', rest, zero))
        return g.op('i32x4', 'add', rest, g.op('v128', 'and', away, b!))
      }
      case 'pow':
        return this.#integerPower(a!, b!)
      default:
        throw new UnsupportedError(`${op} has no int32 form`, { op })
    }
  }

  /** By squaring, modulo 2³²; a negative exponent gives 1/aᵇ truncated, which is 0 unless a is 1 or −1. */
  #integerPower(a: Vec, b: Vec): Vec {
    const g = this.#g
    const power = g.macro('power', [a, b], ({ f }, [base, exponent]) => {
      const x = f.let(V128, f.get(base!))
      const n = f.let(V128, f.get(exponent!))
      const result = f.let(V128, f.i32x4.const(1))
      f.while(() => f.v128.any_true(f.get(n)), () => {
        f.v128.bitselect(f.i32x4.mul(f.get(result), f.get(x)), f.get(result), odd(n))
        f.set(result)
        f.set(x, f.i32x4.mul(f.get(x), f.get(x)))
        f.set(n, f.i32x4.shr_u(f.get(n), f.i32.const(1)))
      })
      f.get(result)

      function odd(v: Local): void {
        f.i32x4.ne(f.v128.and(f.get(v), f.i32x4.const(1)), f.i32x4.const(0))
      }
    })
    const one = g.i32(1)
    // ±1 to any power is right as it stands: only the lowest bit of the exponent matters.
    const unit = g.op('i32x4', 'eq', g.op('i32x4', 'abs', a), one)
    const negative = g.op('i32x4', 'lt_s', b, g.i32(0))
    return g.op('v128', 'andnot', power, g.op('v128', 'andnot', negative, unit))
  }

  #float(op: ScalarOp, type: 'f32x4' | 'f64x2', args: readonly Vec[]): Vec {
    const g = this.#g
    const [a, b] = args as readonly [Vec, Vec]
    const zero = this.#constant(0)
    const one = this.#constant(1)
    switch (op) {
      case 'add':
      case 'sub':
      case 'mul':
      case 'div':
        return g.op(type, op, a, b)
      case 'neg':
      case 'abs':
      case 'sqrt':
      case 'floor':
      case 'ceil':
      case 'trunc':
        return g.op(type, op, a)
      case 'round':
        return g.op(type, 'nearest', a)
      case 'reciprocal':
        return g.op(type, 'div', one, a)
      case 'sign': {
        const up = g.op('v128', 'and', g.op(type, 'gt', a, zero), one)
        const down = g.op('v128', 'and', g.op(type, 'lt', a, zero), this.#constant(-1))
        return g.op('v128', 'or', up, down)
      }
      case 'minimum':
        return this.#minimum(type, a, b)
      case 'maximum':
        return this.#maximum(type, a, b)
      case 'fmod':
        return g.call(type, 'fmod', a, b)
      case 'remainder': {
        const rest = g.call(type, 'fmod', a, b)
        const opposite = g.op('v128', 'xor', g.op(type, 'lt', rest, zero), g.op(type, 'lt', b, zero))
        const away = g.op('v128', 'and', opposite, g.op(type, 'ne', rest, zero))
        return g.select(away, g.op(type, 'add', rest, b), rest)
      }
      case 'pow': {
        // Math.pow differs from IEEE 754: it gives NaN for 1 to the NaN and for ±1 to an infinite power.
        const infinite = g.op(type, 'eq', g.op(type, 'abs', b), this.#constant(Infinity))
        const unit = g.op('v128', 'and', g.op(type, 'eq', g.op(type, 'abs', a), one), infinite)
        return g.select(g.op('v128', 'or', unit, g.op(type, 'eq', a, one)), one, this.#power(type, a, b))
      }
      case 'atan2':
        return g.call(type, 'atan2', a, b)
      default:
    }
    const polynomial = (type === 'f32x4' ? POLYNOMIALS : DOUBLES)[op]
    return polynomial === undefined ? g.call(type, op, a) : polynomial(g, a)
  }

  /** float32 in float64, half a vector at a time. */
  #power(type: 'f32x4' | 'f64x2', a: Vec, b: Vec): Vec {
    const g = this.#g
    if (type === 'f64x2') return pow64(g, a, b)
    const wide = (v: Vec): Vec => g.op('f64x2', 'promote_low_f32x4', v)
    const half = (x: Vec, y: Vec): Vec => g.op('f32x4', 'demote_f64x2_zero', pow64(g, wide(x), wide(y)))
    return g.shuffle(half(a, b), half(g.shuffle(a, a, HIGH_HALF), g.shuffle(b, b, HIGH_HALF)), LOW_HALVES)
  }

  /** The smaller one of b < a ? b : a and a < b ? a : b: they differ only for NaN and zeros of both signs, where “or” is right. */
  #minimum(type: 'f32x4' | 'f64x2', a: Vec, b: Vec): Vec {
    const g = this.#g
    if (plain(b)) return g.op(type, 'pmin', a, b)
    if (plain(a)) return g.op(type, 'pmin', b, a)
    return g.op('v128', 'or', g.op(type, 'pmin', a, b), g.op(type, 'pmin', b, a))
  }

  #maximum(type: 'f32x4' | 'f64x2', a: Vec, b: Vec): Vec {
    const g = this.#g
    if (plain(b)) return g.op(type, 'pmax', a, b)
    if (plain(a)) return g.op(type, 'pmax', b, a)
    // Adding 0 turns −0 into 0, the larger one.
    if (Object.is(b.constant, 0)) return g.op(type, 'pmax', g.op(type, 'add', a, b), b)
    if (Object.is(a.constant, 0)) return g.op(type, 'pmax', g.op(type, 'add', b, a), a)
    return g.op(type, 'max', a, b)
  }
}

/** A constant that is neither zero nor NaN: the machine's own minimum does the right thing. */
const plain = (v: Vec): boolean => v.constant !== undefined && v.constant !== 0 && !Number.isNaN(v.constant)
