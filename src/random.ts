/**
 * Random numbers from a counter: Philox4x32-10 (Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3",
 * SC11). Block number i of a seed is a fixed function of both, so a generator's whole state is two numbers.
 *
 * The same seed gives the same bits on every runtime: besides + − × ÷ and sqrt, which IEEE 754 defines to the last bit,
 * nothing is taken from the engine. `Math.log` and `Math.cos` differ between engines, so the normal distribution brings its
 * own logarithm, sine and cosine.
 *
 * Every fill starts at a new block: what it draws depends on the seed and on how many blocks were used before, never on
 * bits left over from an earlier call of another kind.
 */
import type { TypedArray } from './dtype.ts'
import { ArgumentError } from './errors.ts'
import { describe } from './options.ts'

/** All there is to know of a generator; plain data, may go through JSON. */
export interface GeneratorState {
  readonly algorithm: 'philox4x32-10'
  readonly seed: number
  /** The number of the next block of four words. */
  readonly block: number
}

/** The seed of a generator that was given none, the same as torch's. */
const DEFAULT_SEED = 67280421310721
/** Words made at a time by the fills. */
const CHUNK = 1024
const TWO_32 = 4294967296

/** A stream of random numbers that a seed decides, with the distributions that fill typed arrays. */
export class Generator {
  private seedValue = 0
  private key0 = 0
  private key1 = 0
  private block = 0
  private readonly words = new Int32Array(CHUNK)
  /** Where `next` reads in `words`; CHUNK when they are used up. */
  private cursor = CHUNK

  constructor(seed: number = DEFAULT_SEED) {
    this.manualSeed(seed)
  }

  /** Starts the stream of `seed`, a whole number of up to 53 bits, from its beginning. */
  manualSeed(seed: number): this {
    if (!Number.isSafeInteger(seed)) throw new ArgumentError(`manualSeed: expected a safe integer, got ${seed}`, { op: 'manualSeed' })
    this.seedValue = seed
    this.key0 = seed | 0
    this.key1 = Math.floor(seed / TWO_32) | 0
    this.block = 0
    return this
  }

  /** Seeds from the runtime's source of entropy, and returns the new seed. */
  seed(): number {
    const [high, low] = crypto.getRandomValues(new Uint32Array(2))
    const seed = (high! & 0x1fffff) * TWO_32 + low!
    this.manualSeed(seed)
    return seed
  }

  /** The seed this stream was started with. */
  get initialSeed(): number {
    return this.seedValue
  }

  getState(): GeneratorState {
    return { algorithm: 'philox4x32-10', seed: this.seedValue, block: this.block }
  }

  setState(state: GeneratorState): this {
    if (state.algorithm !== 'philox4x32-10' || !Number.isSafeInteger(state.block) || state.block < 0) {
      throw new ArgumentError(`setState: not a state of this generator: ${JSON.stringify(state)}`, { op: 'setState' })
    }
    this.manualSeed(state.seed)
    this.block = state.block
    return this
  }

  /** Uses up the blocks that hold `words` words, for somebody who makes them; which they are, and the key. */
  take(words: number): { readonly low: number; readonly high: number; readonly key0: number; readonly key1: number } {
    const { block, key0, key1 } = this
    this.block += Math.ceil(words / 4)
    return { low: block | 0, high: (block / TWO_32) | 0, key0, key1 }
  }

  /** Uniform on [from, to): multiples of 2⁻²⁴ (float32) or 2⁻⁵³ (float64) of the range, then rounded. */
  uniform(out: Float32Array | Float64Array, from = 0, to = 1): void {
    if (!(from <= to) || !Number.isFinite(to - from)) {
      throw new ArgumentError(`uniform_ expects to return a [from, to) range, but found from=${from} > to=${to}`, { op: 'uniform' })
    }
    const { words } = this
    const double = out instanceof Float64Array
    const range = to - from
    const perChunk = double ? CHUNK / 2 : CHUNK
    for (let start = 0; start < out.length; start += perChunk) {
      const end = Math.min(start + perChunk, out.length)
      this.generate(double ? 2 * (end - start) : end - start)
      for (let i = start, w = 0; i < end; i++, w++) {
        if (double) out[i] = from + range * (((words[w]! >>> 5) * 67108864 + (words[++w]! >>> 6)) * 2 ** -53)
        else out[i] = from + range * ((words[w]! >>> 8) * 2 ** -24)
        // Rounding may reach the open end.
        if (out[i]! >= to) out[i] = from
      }
    }
  }

  /**
   * Normal with this mean and standard deviation, by Box and Muller: two independent normals are the coordinates of a point
   * at radius √(−2 ln u) and angle 2πv. u and v have 32 bits for float32, 53 for float64.
   */
  normal(out: Float32Array | Float64Array, mean = 0, std = 1): void {
    if (!(std >= 0)) throw new ArgumentError(`normal expects std >= 0.0, but found std ${std}`, { op: 'normal' })
    const { words } = this
    const double = out instanceof Float64Array
    const perChunk = double ? CHUNK / 2 : CHUNK
    for (let start = 0; start < out.length; start += perChunk) {
      const end = Math.min(start + perChunk, out.length)
      // Points come in pairs of normals: an odd last one still takes a whole point.
      const points = (end - start + 1) >> 1
      this.generate(double ? 4 * points : 2 * points)
      for (let i = start, w = 0; i < end; i += 2) {
        let u = words[w++]! >>> 0
        let bits = 32
        if (double) {
          u = u * 2097152 + (words[w++]! >>> 11)
          bits = 53
        }
        // (u + 1)·2⁻ᵇⁱᵗˢ lies in (0, 1].
        const radius = std * Math.sqrt(-2 * logFraction(u + 1, bits))
        const turn = words[w++]!
        // The nearest quarter turn, exactly, and the rest within an eighth of a turn.
        const quarter = (turn + 0x20000000) >>> 30
        let rest = (turn - (quarter << 30)) | 0
        let unit = TAU_32
        if (double) {
          rest = rest * 2097152 + (words[w++]! >>> 11)
          unit = TAU_53
        }
        const s = sinEighth(rest * unit)
        const c = cosEighth(rest * unit)
        const x = (quarter & 1) === 0 ? c : s
        const y = (quarter & 1) === 0 ? s : c
        out[i] = mean + (quarter === 1 || quarter === 2 ? -radius : radius) * x
        if (i + 1 < end) out[i + 1] = mean + (quarter >= 2 ? -radius : radius) * y
      }
    }
  }

  /** Whole numbers, uniform on low … high − 1, each exactly as likely as any other. */
  integers(out: Int32Array | Uint8Array, low: number, high: number): void {
    if (!Number.isInteger(low) || !Number.isInteger(high)) {
      throw new ArgumentError(`random_ expects whole bounds, but got from=${low}, to=${high} (randint)`, { op: 'randint' })
    }
    if (low >= high) {
      throw new ArgumentError(`random_ expects 'from' to be less than 'to', but got from=${low} >= to=${high} (randint)`, { op: 'randint' })
    }
    const [least, most] = out instanceof Uint8Array ? [0, 255] : [-2147483648, 2147483647]
    if (low < least || high - 1 > most) {
      const dtype = out instanceof Uint8Array ? 'uint8' : 'int32'
      throw new ArgumentError(`${low < least ? 'from' : 'to - 1'} is out of bounds for ${dtype} (randint)`, {
        op: 'randint',
        dtypes: [dtype],
      })
    }
    this.cursor = CHUNK
    for (let i = 0; i < out.length; i++) out[i] = low + this.below(high - low, out.length - i)
  }

  /** The numbers 0 … n − 1 in random order, every order as likely (Fisher and Yates). */
  permutation(n: number): Int32Array {
    if (!Number.isInteger(n) || n < 0 || n > 2147483647) {
      throw new ArgumentError(`randperm: n must be a whole number from 0 to 2147483647, got ${n}`, { op: 'randperm' })
    }
    const out = new Int32Array(n)
    this.cursor = CHUNK
    for (let i = 0; i < n; i++) {
      const j = this.below(i + 1, n - i)
      out[i] = out[j]!
      out[j] = i
    }
    return out
  }

  /** `one` with probability p, else 0; p is one number or one for each element. 32 bits decide. */
  bernoulli(out: TypedArray, p: number | ArrayLike<number>, one = 1): void {
    const each = typeof p === 'number' ? undefined : p
    if (each !== undefined && each.length !== out.length) {
      throw new ArgumentError(`bernoulli: ${each.length} probabilities for ${out.length} elements`, { op: 'bernoulli' })
    }
    for (let i = 0; i < (each?.length ?? 1); i++) {
      const q = each === undefined ? (p as number) : each[i]!
      if (!(q >= 0 && q <= 1)) throw new ArgumentError(`bernoulli_ expects p to be in [0, 1], but got p=${q}`, { op: 'bernoulli' })
    }
    const { words } = this
    const common = each === undefined ? (p as number) * TWO_32 : 0
    for (let start = 0; start < out.length; start += CHUNK) {
      const end = Math.min(start + CHUNK, out.length)
      this.generate(end - start)
      for (let i = start; i < end; i++) {
        out[i] = words[i - start]! >>> 0 < (each === undefined ? common : each[i]! * TWO_32) ? one : 0
      }
    }
  }

  /** Puts the next `count` words, rounded up to whole blocks, at the front of `words`. */
  private generate(count: number): void {
    const blocks = (count + 3) >> 2
    for (let b = 0; b < blocks; b++) {
      const n = this.block + b
      philox(n | 0, (n / TWO_32) | 0, 0, 0, this.key0, this.key1, this.words, 4 * b)
    }
    this.block += blocks
  }

  /**
   * A whole number of 0 … n − 1, n ≤ 2³²: the high word of word × n, with the words redrawn that would make some results
   * likelier (Lemire, "Fast random integer generation in an interval", 2019). `expected` numbers, this one included, are
   * still to be drawn: that many words are made at a time.
   */
  private below(n: number, expected: number): number {
    let word = this.next(expected)
    if (n === TWO_32) return word
    if (Math.imul(word, n) >>> 0 < n) {
      const excess = (TWO_32 - n) % n
      while (Math.imul(word, n) >>> 0 < excess) word = this.next(expected)
    }
    return high32(word, n) >>> 0
  }

  private next(expected: number): number {
    if (this.cursor === CHUNK) {
      const count = Math.min(CHUNK, (expected + 3) & -4)
      this.generate(count)
      // The words move to the end, so that CHUNK always means used up.
      this.cursor = CHUNK - count
      if (this.cursor > 0) this.words.copyWithin(this.cursor, 0, count)
    }
    return this.words[this.cursor++]! >>> 0
  }
}

/** The generator of everything random that is given no other. */
export const defaultGenerator: Generator = /* @__PURE__ */ new Generator()

/** The generator asked for, or the default one. Errors: ArgumentError for anything else. */
export function generatorOf(op: string, generator: Generator = defaultGenerator): Generator {
  if (generator instanceof Generator) return generator
  throw new ArgumentError(`${op}: expected a Generator, got ${describe(generator)}; make one with new Generator(seed)`, { op })
}

/**
 * Starts the default generator again from `seed`, and returns it.
 * @example
 * manualSeed(0)
 * const x = rand([2])
 * manualSeed(0)
 * equal(rand([2]), x) // true
 */
export function manualSeed(seed: number): Generator {
  return defaultGenerator.manualSeed(seed)
}

/** The high word of the 64-bit product of two unsigned words. Each partial sum stays below 2³², so wrapping loses nothing. */
function high32(a: number, b: number): number {
  const al = a & 0xffff
  const ah = a >>> 16
  const bl = b & 0xffff
  const bh = b >>> 16
  const low = (Math.imul(ah, bl) + (Math.imul(al, bl) >>> 16)) | 0
  const mid = (Math.imul(al, bh) + (low & 0xffff)) | 0
  return (Math.imul(ah, bh) + (low >>> 16) + (mid >>> 16)) | 0
}

/**
 * One block: ten rounds that multiply two of the four counter words by constants, cross the halves over, and mix in a key
 * that walks by the golden ratio and √3 − 1. Writes four words to `out` from `at` on.
 */
export function philox(c0: number, c1: number, c2: number, c3: number, k0: number, k1: number, out: Int32Array, at: number): void {
  for (let round = 0; round < 10; round++) {
    const h0 = high32(0xd2511f53, c0)
    const h1 = high32(0xcd9e8d57, c2)
    const l0 = Math.imul(0xd2511f53, c0)
    const l1 = Math.imul(0xcd9e8d57, c2)
    c0 = h1 ^ c1 ^ k0
    c1 = l1
    c2 = h0 ^ c3 ^ k1
    c3 = l0
    k0 = (k0 + 0x9e3779b9) | 0
    k1 = (k1 + 0xbb67ae85) | 0
  }
  out[at] = c0
  out[at + 1] = c1
  out[at + 2] = c2
  out[at + 3] = c3
}

/** 2π in units of 2⁻³² and of 2⁻⁵³ turns. */
const TAU_32: number = 6.283185307179586 / TWO_32
const TAU_53: number = TAU_32 / 2097152
const LN2 = 0.6931471805599453
const SQRT2 = 1.4142135623730951

/**
 * ln(k·2⁻ᵇⁱᵗˢ) for a whole k of 1 … 2⁵³. With k = m·2ᵉ, m within √½ … √2, and s = (m − 1)/(m + 1), |s| ≤ 0.172:
 * ln m = 2·artanh s = 2(s + s³/3 + s⁵/5 + …), cut where terms fall below 2⁻⁵⁴ of the sum.
 */
export function logFraction(k: number, bits: number): number {
  const high = (k / TWO_32) | 0
  let exponent = high > 0 ? 63 - Math.clz32(high) : 31 - Math.clz32(k)
  // Powers of two up to 2³⁰ are shifts, so the division is exact.
  let m = exponent > 30 ? k / (1 << 30) / (1 << (exponent - 30)) : k / (1 << exponent)
  if (m > SQRT2) {
    m *= 0.5
    exponent += 1
  }
  const s = (m - 1) / (m + 1)
  const q = s * s
  let sum = 1 / 21
  sum = sum * q + 1 / 19
  sum = sum * q + 1 / 17
  sum = sum * q + 1 / 15
  sum = sum * q + 1 / 13
  sum = sum * q + 1 / 11
  sum = sum * q + 1 / 9
  sum = sum * q + 1 / 7
  sum = sum * q + 1 / 5
  sum = sum * q + 1 / 3
  const log = 2 * (s + s * (q * sum))
  return (exponent - bits) * LN2 + log
}

/** sin x for |x| ≤ π/4: Taylor's series up to x¹⁵/15!, the next term is below 2⁻⁵³ of the sum. */
export function sinEighth(x: number): number {
  const q = x * x
  let sum = -1 / 1307674368000
  sum = sum * q + 1 / 6227020800
  sum = sum * q - 1 / 39916800
  sum = sum * q + 1 / 362880
  sum = sum * q - 1 / 5040
  sum = sum * q + 1 / 120
  sum = sum * q - 1 / 6
  return x + x * (q * sum)
}

/** cos x for |x| ≤ π/4: Taylor's series up to x¹⁶/16!. */
export function cosEighth(x: number): number {
  const q = x * x
  let sum = 1 / 20922789888000
  sum = sum * q - 1 / 87178291200
  sum = sum * q + 1 / 479001600
  sum = sum * q - 1 / 3628800
  sum = sum * q + 1 / 40320
  sum = sum * q - 1 / 720
  sum = sum * q + 1 / 24
  sum = sum * q - 1 / 2
  return 1 + q * sum
}
