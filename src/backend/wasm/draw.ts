/**
 * Random fills in WebAssembly: the counter-based generator and the distributions of random.ts, four blocks and two points at a
 * time. Every operation is one that IEEE 754 defines to the last bit, in the same order, so the numbers are the same bits.
 */
import type { DType } from '../../dtype.ts'
import { dtypes } from '../../dtype.ts'
import { type DrawKernel, type DrawKind, drawWords, type LinearMemory } from '../backend.ts'
import { type Body, type Emitted, F64, type Func, I32, instantiate, type Local, type ModuleBuilder, moduleFor, order, V128 } from './assembler.ts'

/** Words made at a time: what fits the scratch area. */
const CHUNK = 1024

/** Compiles one kind of draw into arrays of one dtype. */
export function compileDraw(memory: LinearMemory, kind: DrawKind, dtype: DType): DrawKernel {
  const module = moduleFor(memory.memory)
  const words = philox(module, memory.scratch)
  const { bytes } = dtypes[dtype]
  const perElement = drawWords(kind, dtype)
  // Groups of four words make one vector of float32, or half as many float64; bytes go one by one.
  const group = 4 / perElement
  module.func([I32, I32, I32, I32, I32, I32, F64, F64], [], (f, n, out, low, high, key0, key1, a, b) => {
    const [at, left, k, to] = f.locals(I32, 4) as [Local, Local, Local, Local]
    const convert = kind === 'normal' ? normal(f, dtype, a, b) : kind === 'uniform' ? uniform(f, dtype, a, b) : bernoulli(f, dtype, a, b)
    const perChunk = CHUNK / perElement
    f.while(() => f.get(n), () => {
      f.set(left, f.select(f.get(n), f.i32.const(perChunk), f.i32.lt_u(f.get(n), f.i32.const(perChunk))))
      bump(f, n, () => f.i32.sub(f.i32.const(0), f.get(left)))
      // Whole blocks, four of them at a time.
      f.i32.div_u(f.i32.add(f.i32.mul(f.get(left), f.i32.const(perElement)), f.i32.const(15)), f.i32.const(16))
      f.set(k)
      f.call(words, f.get(k), f.get(low), f.get(high), f.get(key0), f.get(key1))
      f.set(low, f.i32.add(f.get(low), f.i32.const(CHUNK / 4)))
      bump(f, high, () => f.i32.lt_u(f.get(low), f.i32.const(CHUNK / 4)))
      f.set(at, f.i32.const(memory.scratch))
      f.while(() => f.i32.ge_u(f.get(left), f.i32.const(group)), () => {
        convert(at, out)
        bump(f, at, () => f.i32.const(16))
        bump(f, out, () => f.i32.const(group * bytes))
        bump(f, left, () => f.i32.const(-group))
      })
      // The last ones through the front of the scratch area.
      f.if(f.get(left), () => {
        f.set(to, f.i32.const(memory.scratch))
        convert(at, to)
        f.memoryCopy(f.get(out), f.get(to), f.i32.mul(f.get(left), f.i32.const(bytes)))
      })
    })
  }, 'run')
  return instantiate(module.encode(), memory.memory)['run'] as unknown as DrawKernel
}

const bump = (f: Body, local: Local, by: () => Emitted): void => {
  f.set(local, f.i32.add(f.get(local), by()))
}

/** `turns` times four blocks of the generator, from block (high, low) on, into the scratch area. */
function philox(module: ModuleBuilder, scratch: number): Func {
  return module.func([I32, I32, I32, I32, I32], [], (f, turns, low, high, key0, key1) => {
    const c = f.locals(V128, 4) as [Local, Local, Local, Local]
    const [p, q, h0, h1, l0, l1] = f.locals(V128, 6) as [Local, Local, Local, Local, Local, Local]
    const out = f.let(I32, f.i32.const(scratch))
    /** The low and high words of factor × v. */
    const multiply = (v: Local, factor: number, lows: Local, highs: Local): void => {
      f.set(p, f.i64x2.extmul_low_i32x4_u(f.get(v), f.i32x4.const(factor)))
      f.set(q, f.i64x2.extmul_high_i32x4_u(f.get(v), f.i32x4.const(factor)))
      f.set(lows, f.i8x16.shuffle(f.get(p), f.get(q), ...order(4, 0, 2, 4, 6)))
      f.set(highs, f.i8x16.shuffle(f.get(p), f.get(q), ...order(4, 1, 3, 5, 7)))
    }
    f.while(() => f.get(turns), () => {
      f.set(c[0], f.i32x4.add(f.i32x4.splat(f.get(low)), f.i32x4.const(0, 1, 2, 3)))
      // A carry is −1 in its lane.
      f.set(c[1], f.i32x4.sub(f.i32x4.splat(f.get(high)), f.i32x4.lt_u(f.get(c[0]), f.i32x4.splat(f.get(low)))))
      f.set(c[2], f.i32x4.const(0))
      f.set(c[3], f.i32x4.const(0))
      for (let round = 0; round < 10; round++) {
        multiply(c[0], 0xd2511f53, l0, h0)
        multiply(c[2], 0xcd9e8d57, l1, h1)
        const mixed = (to: Local, by: Local, old: Local, key: Local, step: number): void => {
          f.set(to, f.v128.xor(f.v128.xor(f.get(by), f.get(old)), f.i32x4.splat(f.i32.add(f.get(key), f.i32.const(Math.imul(step, round))))))
        }
        mixed(c[0], h1, c[1], key0, 0x9e3779b9)
        mixed(c[2], h0, c[3], key1, 0xbb67ae85)
        f.set(c[1], f.get(l1))
        f.set(c[3], f.get(l0))
      }
      const zip = (to: Local, x: Local, y: Local, ...units: number[]): void => {
        f.set(to, f.i8x16.shuffle(f.get(x), f.get(y), ...order(4, ...units)))
      }
      zip(p, c[0], c[1], 0, 4, 1, 5)
      zip(q, c[2], c[3], 0, 4, 1, 5)
      zip(h0, c[0], c[1], 2, 6, 3, 7)
      zip(h1, c[2], c[3], 2, 6, 3, 7)
      const put = (block: number, x: Local, y: Local, half: number): void => {
        f.v128.store(f.get(out), f.i8x16.shuffle(f.get(x), f.get(y), ...order(8, half, half + 2)), 16 * block)
      }
      put(0, p, q, 0)
      put(1, p, q, 1)
      put(2, h0, h1, 0)
      put(3, h0, h1, 1)
      bump(f, out, () => f.i32.const(64))
      f.set(low, f.i32.add(f.get(low), f.i32.const(4)))
      bump(f, high, () => f.i32.lt_u(f.get(low), f.i32.const(4)))
      bump(f, turns, () => f.i32.const(-1))
    })
  })
}

/** Writes what four words at `at` give to `to`. */
type Convert = (at: Local, to: Local) => void

/** A vector pinned to both lanes of a local. */
const pinned = (f: Body, value: () => Emitted): Local => f.let(V128, f.f64x2.splat(value()))

/** Two words of four as float64. */
function wordsAsFloats(f: Body, words: () => Emitted, half: number): void {
  if (half === 0) f.f64x2.convert_low_i32x4_u(words())
  else f.f64x2.convert_low_i32x4_u(f.i8x16.shuffle(words(), words(), ...order(8, 1, 0)))
}

/** (w₀ ≫ 5)·2²⁶ + (w₁ ≫ 6): 53 bits of the words in even and odd lanes. */
function wide(f: Body, w: Local): void {
  const lanes = (odd: number): void => f.i8x16.shuffle(f.get(w), f.get(w), ...order(4, odd, 2 + odd, odd, 2 + odd))
  const part = (odd: number, drop: number): void => f.f64x2.convert_low_i32x4_u(f.i32x4.shr_u(lanes(odd), f.i32.const(drop)))
  f.f64x2.add(f.f64x2.mul(part(0, 5), f.f64x2.const(67108864)), part(1, 6))
}

function uniform(f: Body, dtype: DType, from: Local, to: Local): Convert {
  const low = pinned(f, () => f.get(from))
  const end = pinned(f, () => f.get(to))
  const range = pinned(f, () => f.f64.sub(f.get(to), f.get(from)))
  const [w, v, x, y] = f.locals(V128, 4) as [Local, Local, Local, Local]
  /** Rounding may reach the open end. */
  const scaled = (target: Local, unit: () => void): void => {
    f.set(v, f.f64x2.add(f.get(low), f.f64x2.mul(f.get(range), unit())))
    const rounded = (): void => {
      f.get(v)
      if (dtype === 'float32') f.f64x2.promote_low_f32x4(f.f32x4.demote_f64x2_zero())
    }
    f.set(target, f.v128.bitselect(f.get(low), f.get(v), f.f64x2.ge(rounded(), f.get(end))))
  }
  if (dtype === 'float64') {
    return (at, out) => {
      f.set(w, f.v128.load(f.get(at)))
      scaled(x, () => f.f64x2.mul(wide(f, w), f.f64x2.const(2 ** -53)))
      f.v128.store(f.get(out), f.get(x))
    }
  }
  return (at, out) => {
    f.set(w, f.i32x4.shr_u(f.v128.load(f.get(at)), f.i32.const(8)))
    ;[x, y].forEach((target, half) => scaled(target, () => f.f64x2.mul(wordsAsFloats(f, () => f.get(w), half), f.f64x2.const(2 ** -24))))
    f.v128.store(
      f.get(out),
      f.i8x16.shuffle(f.f32x4.demote_f64x2_zero(f.get(x)), f.f32x4.demote_f64x2_zero(f.get(y)), ...order(8, 0, 2)),
    )
  }
}

/** `one` where a word is below p·2³², else 0. */
function bernoulli(f: Body, dtype: DType, p: Local, one: Local): Convert {
  const limit = pinned(f, () => f.f64.mul(f.get(p), f.f64.const(4294967296)))
  const value = dtype === 'float64' ? pinned(f, () => f.get(one)) : dtype === 'float32'
    ? f.let(V128, f.f32x4.splat(f.f32.demote_f64(f.get(one))))
    : f.let(V128, f.i32x4.splat(f.i32.trunc_sat_f64_s(f.get(one))))
  const [w, x, y, v] = f.locals(V128, 4) as [Local, Local, Local, Local]
  return (at, out) => {
    f.set(w, f.v128.load(f.get(at)))
    ;[x, y].forEach((target, half) => f.set(target, f.f64x2.lt(wordsAsFloats(f, () => f.get(w), half), f.get(limit))))
    if (dtype === 'float64') {
      ;[x, y].forEach((mask, half) => f.v128.store(f.get(out), f.v128.and(f.get(mask), f.get(value)), 16 * half))
      return
    }
    f.set(v, f.v128.and(f.i8x16.shuffle(f.get(x), f.get(y), ...order(4, 0, 2, 4, 6)), f.get(value)))
    if (dtypes[dtype].bytes === 4) f.v128.store(f.get(out), f.get(v))
    else f.v128.store32_lane(f.get(out), f.i8x16.shuffle(f.get(v), f.get(v), ...order(1, 0, 4, 8, 12), ...new Array<number>(12).fill(0)), 0, 0, 0)
  }
}

const LN2 = 0.6931471805599453
const SQRT2 = 1.4142135623730951
/** 2π in units of 2⁻³² and of 2⁻⁵³ turns. */
const TAU_32: number = 6.283185307179586 / 4294967296
const TAU_53: number = TAU_32 / 2097152
/** Denominators of artanh's series, and coefficients of sine's and cosine's, highest first. */
const ARTANH = [21, 19, 17, 15, 13, 11, 9, 7, 5, 3].map((d) => 1 / d)
const SINE = [-1 / 1307674368000, 1 / 6227020800, -1 / 39916800, 1 / 362880, -1 / 5040, 1 / 120, -1 / 6]
const COSINE = [1 / 20922789888000, -1 / 87178291200, 1 / 479001600, -1 / 3628800, 1 / 40320, -1 / 720, 1 / 24, -1 / 2]

function normal(f: Body, dtype: DType, mean: Local, std: Local): Convert {
  const double = dtype === 'float64'
  const middle = pinned(f, () => f.get(mean))
  const spread = pinned(f, () => f.get(std))
  const [w, u, e, m, s, q, sum, radius] = f.locals(V128, 8) as [Local, Local, Local, Local, Local, Local, Local, Local]
  const [turns, quarter, rest, sine, cosine, x, y] = f.locals(V128, 7) as [Local, Local, Local, Local, Local, Local, Local]
  const v = f.f64x2
  const series = (to: Local, coefficients: readonly number[], square: Local): void => {
    coefficients.forEach((c, i) => {
      if (i === 0) v.const(c)
      else v.add(v.mul(f.get(to), f.get(square)), v.const(c))
      f.set(to)
    })
  }
  /** A lane of `quarter` (int32, two low lanes) as a mask of float64 lanes. */
  const quarterMask = (mask: () => void): void => f.i64x2.extend_low_i32x4_s(mask())

  /** The points of the words in `w`: one of `turns` (int32, two low lanes) and `u` each; coordinates in x and y. */
  const points = (bits: number): void => {
    // ln(k·2⁻ᵇⁱᵗˢ), k = u + 1 = m·2ᵉ.
    f.set(u, v.add(f.get(u), v.const(1)))
    f.set(e, f.i64x2.sub(f.i64x2.shr_u(f.get(u), f.i32.const(52)), f.i64x2.const(1023)))
    f.set(m, f.v128.or(f.v128.and(f.get(u), f.i64x2.const(0xfffffffffffffn)), f.i64x2.const(0x3ff0000000000000n)))
    f.set(s, v.gt(f.get(m), v.const(SQRT2)))
    f.set(m, f.v128.bitselect(v.mul(f.get(m), v.const(0.5)), f.get(m), f.get(s)))
    f.set(e, f.i64x2.sub(f.get(e), f.get(s)))
    f.set(s, v.div(v.sub(f.get(m), v.const(1)), v.add(f.get(m), v.const(1))))
    f.set(q, v.mul(f.get(s), f.get(s)))
    series(sum, ARTANH, q)
    f.set(sum, v.mul(v.const(2), v.add(f.get(s), v.mul(f.get(s), v.mul(f.get(q), f.get(sum))))))
    v.convert_low_i32x4_s(f.i8x16.shuffle(f.get(e), f.get(e), ...order(4, 0, 2, 0, 2)))
    f.set(sum, v.add(v.mul(v.sub(undefined, v.const(bits)), v.const(LN2)), f.get(sum)))
    f.set(radius, v.mul(f.get(spread), v.sqrt(v.mul(v.const(-2), f.get(sum)))))
    // The nearest quarter turn, exactly, and the rest within an eighth of a turn.
    f.set(q, v.mul(f.get(rest), f.get(rest)))
    series(sine, SINE, q)
    f.set(sine, v.add(f.get(rest), v.mul(f.get(rest), v.mul(f.get(q), f.get(sine)))))
    series(cosine, COSINE, q)
    f.set(cosine, v.add(v.const(1), v.mul(f.get(q), f.get(cosine))))
    f.set(s, quarterMask(() => f.i32x4.eq(f.v128.and(f.get(quarter), f.i32x4.const(1)), f.i32x4.const(1))))
    const coordinate = (to: Local, odd: Local, even: Local, flipped: () => void): void => {
      v.mul(f.v128.bitselect(v.neg(f.get(radius)), f.get(radius), quarterMask(flipped)), f.v128.bitselect(f.get(odd), f.get(even), f.get(s)))
      f.set(to)
      f.set(to, v.add(f.get(middle), f.get(to)))
    }
    coordinate(x, sine, cosine, () =>
      f.i32x4.eq(f.v128.and(f.i32x4.add(f.get(quarter), f.i32x4.const(1)), f.i32x4.const(2)), f.i32x4.const(2)))
    coordinate(y, cosine, sine, () => f.i32x4.gt_s(f.get(quarter), f.i32x4.const(1)))
  }
  const splitTurns = (): void => {
    f.set(quarter, f.i32x4.shr_u(f.i32x4.add(f.get(turns), f.i32x4.const(0x20000000)), f.i32.const(30)))
    f.set(turns, f.i32x4.sub(f.get(turns), f.i32x4.shl(f.get(quarter), f.i32.const(30))))
  }
  if (!double) {
    return (at, out) => {
      f.set(w, f.v128.load(f.get(at)))
      f.set(u, v.convert_low_i32x4_u(f.i8x16.shuffle(f.get(w), f.get(w), ...order(4, 0, 2, 0, 2))))
      f.set(turns, f.i8x16.shuffle(f.get(w), f.get(w), ...order(4, 1, 3, 1, 3)))
      splitTurns()
      f.set(rest, v.mul(v.convert_low_i32x4_s(f.get(turns)), v.const(TAU_32)))
      points(32)
      f.v128.store(
        f.get(out),
        f.i8x16.shuffle(f.f32x4.demote_f64x2_zero(f.get(x)), f.f32x4.demote_f64x2_zero(f.get(y)), ...order(4, 0, 4, 1, 5)),
      )
    }
  }
  // Four words make one point: both lanes compute it.
  return (at, out) => {
    f.set(w, f.v128.load(f.get(at)))
    const lane = (i: number): void => f.i8x16.shuffle(f.get(w), f.get(w), ...order(4, i, i, i, i))
    const fraction = (i: number): void => v.convert_low_i32x4_u(f.i32x4.shr_u(lane(i), f.i32.const(11)))
    f.set(u, v.add(v.mul(v.convert_low_i32x4_u(lane(0)), v.const(2097152)), fraction(1)))
    f.set(turns, lane(2))
    splitTurns()
    f.set(rest, v.mul(v.add(v.mul(v.convert_low_i32x4_s(f.get(turns)), v.const(2097152)), fraction(3)), v.const(TAU_53)))
    points(53)
    f.v128.store(f.get(out), f.i8x16.shuffle(f.get(x), f.get(y), ...order(8, 0, 2)))
  }
}
