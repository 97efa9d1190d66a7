/**
 * The expression language of elementwise work. An operation's forward, its derivative rules and whole optimizer steps are
 * expressions here; each backend renders them (the reference interprets them, WASM makes SIMD loops).
 */
import { type DType, dtypes } from '../dtype.ts'

export type UnaryOp =
  | 'neg'
  | 'abs'
  | 'sign'
  | 'sqrt'
  | 'reciprocal'
  | 'floor'
  | 'ceil'
  | 'round'
  | 'trunc'
  | 'exp'
  | 'exp2'
  | 'expm1'
  | 'log'
  | 'log2'
  | 'log10'
  | 'log1p'
  | 'sin'
  | 'cos'
  | 'tan'
  | 'asin'
  | 'acos'
  | 'atan'
  | 'sinh'
  | 'cosh'
  | 'tanh'
  | 'asinh'
  | 'acosh'
  | 'atanh'
  | 'erf'
  | 'sigmoid'
/** `remainder` has the divisor's sign (Python's %), `fmod` the dividend's; `minimum`/`maximum` propagate NaN. */
export type BinaryOp = 'add' | 'sub' | 'mul' | 'div' | 'minimum' | 'maximum' | 'pow' | 'atan2' | 'remainder' | 'fmod'
export type CompareOp = 'lt' | 'le' | 'gt' | 'ge' | 'eq' | 'ne'
/** Operations on masks, the truth values that comparisons give. */
export type MaskOp = 'and' | 'or' | 'xor' | 'not'
export type ScalarOp = 'input' | 'scalar' | 'const' | UnaryOp | BinaryOp | CompareOp | MaskOp | 'where' | 'number'

/** An operand of a rule: a value, or a JS number (a run-time scalar on the tensor path, a constant in a rule's text). */
export type Operand<V> = V | number

/**
 * What derivative rules are written against. Tensors and scalar expressions both have these methods, so one rule gives
 * the fused kernel, the gradients of every order, the tangents and the documentation.
 */
export interface Arith<V> {
  add(other: Operand<V>): V
  sub(other: Operand<V>): V
  mul(other: Operand<V>): V
  div(other: Operand<V>): V
  pow(other: Operand<V>): V
  minimum(other: Operand<V>): V
  maximum(other: Operand<V>): V
  atan2(other: Operand<V>): V
  remainder(other: Operand<V>): V
  fmod(other: Operand<V>): V
  neg(): V
  abs(): V
  sign(): V
  sqrt(): V
  reciprocal(): V
  floor(): V
  ceil(): V
  round(): V
  trunc(): V
  exp(): V
  exp2(): V
  expm1(): V
  log(): V
  log2(): V
  log10(): V
  log1p(): V
  sin(): V
  cos(): V
  tan(): V
  asin(): V
  acos(): V
  atan(): V
  sinh(): V
  cosh(): V
  tanh(): V
  asinh(): V
  acosh(): V
  atanh(): V
  erf(): V
  sigmoid(): V
  lt(other: Operand<V>): V
  le(other: Operand<V>): V
  gt(other: Operand<V>): V
  ge(other: Operand<V>): V
  eq(other: Operand<V>): V
  ne(other: Operand<V>): V
  logicalAnd(other: V): V
  logicalOr(other: V): V
  logicalXor(other: V): V
  logicalNot(): V
  /** This value where `mask` holds, `other` elsewhere. Masked-out infinities and NaNs do not leak through. */
  where(mask: V, other: Operand<V>): V
}

const interned = new Map<string, Scalar>()

/** A node of an expression. Equal expressions are the same object, so shared parts are computed once. */
export class Scalar implements Arith<Scalar> {
  readonly op: ScalarOp
  readonly args: readonly Scalar[]
  /** The index of an `input` or `scalar`, the value of a `const`; 0 otherwise. */
  readonly value: number
  readonly key: string
  /** A truth value rather than a number. */
  readonly mask: boolean

  /** Use `make`. */
  private constructor(op: ScalarOp, args: readonly Scalar[], value: number, key: string) {
    this.op = op
    this.args = args
    this.value = value
    this.key = key
    this.mask = MASKS.has(op)
  }

  static make(op: ScalarOp, args: readonly Scalar[] = [], value = 0): Scalar {
    const leaf = op === 'input' || op === 'scalar' || op === 'const'
    const key = leaf ? `${op[0]}${Object.is(value, -0) ? '-0' : value}` : `${op}(${args.map((a) => a.key).join()})`
    let node = interned.get(key)
    if (node === undefined) interned.set(key, (node = new Scalar(op, args, value, key)))
    return node
  }

  #unary(op: UnaryOp): Scalar {
    return Scalar.make(op, [number(this)])
  }
  #binary(op: BinaryOp | CompareOp, other: Operand<Scalar>): Scalar {
    return Scalar.make(op, [number(this), number(lift(other))])
  }
  add(other: Operand<Scalar>): Scalar {
    return this.#binary('add', other)
  }
  sub(other: Operand<Scalar>): Scalar {
    return this.#binary('sub', other)
  }
  mul(other: Operand<Scalar>): Scalar {
    return this.#binary('mul', other)
  }
  div(other: Operand<Scalar>): Scalar {
    return this.#binary('div', other)
  }
  pow(other: Operand<Scalar>): Scalar {
    if (other === 2) return this.mul(this)
    if (other === 0.5) return this.sqrt()
    return this.#binary('pow', other)
  }
  minimum(other: Operand<Scalar>): Scalar {
    return this.#binary('minimum', other)
  }
  maximum(other: Operand<Scalar>): Scalar {
    return this.#binary('maximum', other)
  }
  atan2(other: Operand<Scalar>): Scalar {
    return this.#binary('atan2', other)
  }
  remainder(other: Operand<Scalar>): Scalar {
    return this.#binary('remainder', other)
  }
  fmod(other: Operand<Scalar>): Scalar {
    return this.#binary('fmod', other)
  }
  neg(): Scalar {
    return this.#unary('neg')
  }
  abs(): Scalar {
    return this.#unary('abs')
  }
  sign(): Scalar {
    return this.#unary('sign')
  }
  sqrt(): Scalar {
    return this.#unary('sqrt')
  }
  reciprocal(): Scalar {
    return this.#unary('reciprocal')
  }
  floor(): Scalar {
    return this.#unary('floor')
  }
  ceil(): Scalar {
    return this.#unary('ceil')
  }
  round(): Scalar {
    return this.#unary('round')
  }
  trunc(): Scalar {
    return this.#unary('trunc')
  }
  exp(): Scalar {
    return this.#unary('exp')
  }
  exp2(): Scalar {
    return this.#unary('exp2')
  }
  expm1(): Scalar {
    return this.#unary('expm1')
  }
  log(): Scalar {
    return this.#unary('log')
  }
  log2(): Scalar {
    return this.#unary('log2')
  }
  log10(): Scalar {
    return this.#unary('log10')
  }
  log1p(): Scalar {
    return this.#unary('log1p')
  }
  sin(): Scalar {
    return this.#unary('sin')
  }
  cos(): Scalar {
    return this.#unary('cos')
  }
  tan(): Scalar {
    return this.#unary('tan')
  }
  asin(): Scalar {
    return this.#unary('asin')
  }
  acos(): Scalar {
    return this.#unary('acos')
  }
  atan(): Scalar {
    return this.#unary('atan')
  }
  sinh(): Scalar {
    return this.#unary('sinh')
  }
  cosh(): Scalar {
    return this.#unary('cosh')
  }
  tanh(): Scalar {
    return this.#unary('tanh')
  }
  asinh(): Scalar {
    return this.#unary('asinh')
  }
  acosh(): Scalar {
    return this.#unary('acosh')
  }
  atanh(): Scalar {
    return this.#unary('atanh')
  }
  erf(): Scalar {
    return this.#unary('erf')
  }
  sigmoid(): Scalar {
    return this.#unary('sigmoid')
  }
  lt(other: Operand<Scalar>): Scalar {
    return this.#binary('lt', other)
  }
  le(other: Operand<Scalar>): Scalar {
    return this.#binary('le', other)
  }
  gt(other: Operand<Scalar>): Scalar {
    return this.#binary('gt', other)
  }
  ge(other: Operand<Scalar>): Scalar {
    return this.#binary('ge', other)
  }
  eq(other: Operand<Scalar>): Scalar {
    return this.#binary('eq', other)
  }
  ne(other: Operand<Scalar>): Scalar {
    return this.#binary('ne', other)
  }
  logicalAnd(other: Scalar): Scalar {
    return Scalar.make('and', [truth(this), truth(other)])
  }
  logicalOr(other: Scalar): Scalar {
    return Scalar.make('or', [truth(this), truth(other)])
  }
  logicalXor(other: Scalar): Scalar {
    return Scalar.make('xor', [truth(this), truth(other)])
  }
  logicalNot(): Scalar {
    return Scalar.make('not', [truth(this)])
  }
  where(mask: Scalar, other: Operand<Scalar>): Scalar {
    return Scalar.make('where', [truth(mask), number(this), number(lift(other))])
  }
}

const MASKS: ReadonlySet<ScalarOp> = new Set<ScalarOp>(['lt', 'le', 'gt', 'ge', 'eq', 'ne', 'and', 'or', 'xor', 'not'])

/** The i-th array operand. */
export const input = (i: number): Scalar => Scalar.make('input', [], i)
/** The i-th run-time scalar: a number that never becomes part of a kernel's identity. */
export const scalar = (i: number): Scalar => Scalar.make('scalar', [], i)
/** A constant of the expression's own text. */
export const constant = (value: number): Scalar => Scalar.make('const', [], value)

const lift = (v: Operand<Scalar>): Scalar => (typeof v === 'number' ? constant(v) : v)
/** A number as it is, a mask as 1 or 0. */
const number = (v: Scalar): Scalar => (v.mask ? Scalar.make('number', [v]) : v)
/** A mask as it is, a number as "isn't zero". */
const truth = (v: Scalar): Scalar => (v.mask ? v : Scalar.make('ne', [v, constant(0)]))

/** The type a program computes in; operands are converted when loaded, results when stored. */
export type ComputeType = 'float32' | 'float64' | 'int32'

/**
 * One elementwise kernel, before any layout: outputs as expressions over array operands and run-time scalars. Make one per
 * (expression, dtypes) and keep it: backends hang their compiled loops on it.
 */
export class Program {
  readonly outputs: readonly Scalar[]
  readonly outTypes: readonly DType[]
  readonly inTypes: readonly DType[]
  /** How many run-time scalars the call takes (they arrive as float64). */
  readonly scalars: number
  readonly compute: ComputeType
  readonly key: string

  constructor(outputs: readonly Scalar[], outTypes: readonly DType[], inTypes: readonly DType[], scalars: number, compute: ComputeType) {
    this.outputs = outputs
    this.outTypes = outTypes
    this.inTypes = inTypes
    this.scalars = scalars
    this.compute = compute
    this.key = `${compute}:${outputs.map((o, i) => `${outTypes[i]}=${o.key}`).join(';')}:${inTypes.join()}:${scalars}`
  }
}

/** The type to compute in for a result of type `d`. */
export function computeType(d: DType): ComputeType {
  return dtypes[d].category === 2 ? (d as 'float32' | 'float64') : 'int32'
}
