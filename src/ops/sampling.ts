/** Draws of class numbers, relaxed draws, and class numbers as vectors. */
import { dtypes } from '../dtype.ts'
import { ArgumentError, DTypeError, ShapeError, show } from '../errors.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { checkOptions } from '../options.ts'
import { type Generator, generatorOf } from '../random.ts'
import { dataView, empty, expectTensor, readAll, writeAll } from '../tensor.ts'
import { draw, drawn } from './drawing.ts'
import { concrete, isBatched } from './positions.ts'

/** Options of `multinomial`. */
export interface MultinomialOptions {
  /** May a class be drawn again? Default false. */
  readonly replacement?: boolean
  /** Default: the one that `manualSeed` seeds. */
  readonly generator?: Generator
}

/** n uniform numbers in (0, 1]. */
function uniforms(n: number, generator: Generator): Float64Array {
  const drawn = new Float64Array(n)
  generator.uniform(drawn)
  return drawn.map((u) => 1 - u)
}

/** Refuses weights that are no distribution from which `count` can be drawn. */
function checkWeights(p: ArrayLike<number>, count: number, replacement: boolean): void {
  const say = (what: string): never => {
    throw new ArgumentError(`multinomial: ${what}`, { op: 'multinomial' })
  }
  let sum = 0
  let possible = 0
  for (let i = 0; i < p.length; i++) {
    if (!(p[i]! >= 0 && p[i]! < Number.POSITIVE_INFINITY)) say('probability tensor contains either `inf`, `nan` or element < 0')
    sum += p[i]!
    if (p[i]! > 0) possible++
  }
  if (!(sum > 0)) say('invalid multinomial distribution (sum of probabilities <= 0)')
  if (!replacement && possible < count) {
    say(
      `invalid multinomial distribution (with replacement=False, not enough non-negative category to sample): ${count} wanted, ${possible} have a probability above 0`,
    )
  }
}

function withReplacement(p: ArrayLike<number>, count: number, generator: Generator): number[] {
  const sums = new Float64Array(p.length)
  let sum = 0
  for (let i = 0; i < p.length; i++) sums[i] = sum += p[i]!
  return Array.from(uniforms(count, generator), (u) => {
    // The first class whose cumulative weight reaches u·sum: never one of weight 0, since u > 0.
    let low = 0
    let high = p.length - 1
    while (low < high) {
      const mid = (low + high) >> 1
      if (sums[mid]! >= u * sum) high = mid
      else low = mid + 1
    }
    return low
  })
}

/** A race: class i arrives after an exponential time of rate p[i], and the first ones are drawn. */
function withoutReplacement(p: ArrayLike<number>, count: number, generator: Generator): number[] {
  const times = uniforms(p.length, generator).map((u, i) => (p[i]! > 0 ? -Math.log(u) / p[i]! : Number.POSITIVE_INFINITY))
  return Array.from(times.keys())
    .filter((i) => p[i]! > 0)
    .sort((i, j) => times[i]! - times[j]!)
    .slice(0, count)
}

/**
 * Numbers of classes (int32), drawn with the weights [classes] or, row by row, [rows, classes]; they need not add up to 1.
 * Errors: ArgumentError for negative or infinite weights, or more draws than classes without replacement; ShapeError, DTypeError.
 * @example
 * multinomial(tensor([0, 1, 0]), 4, { replacement: true }).tolist() // [1, 1, 1, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.multinomial.html
 */
export function multinomial(weights: Tensor, numSamples: number, options: MultinomialOptions = {}): Tensor {
  const op = 'multinomial'
  expectTensor(op, weights, 'argument 0')
  checkOptions(op, options, { replacement: 'boolean', generator: 'any' })
  const { replacement = false } = options
  const generator = generatorOf(op, options.generator)
  const { shape, rank } = weights.layout
  if (rank !== 1 && rank !== 2)
    throw new ShapeError(`multinomial: prob_dist must be 1 or 2 dim, got ${show(shape)}`, { op, shapes: [shape] })
  if (!weights.dt.floating)
    throw new DTypeError(`multinomial only supports floating-point dtypes for input, got: ${weights.dt.name}`, {
      op,
      dtypes: [weights.dtype],
    })
  if (!Number.isInteger(numSamples) || numSamples <= 0)
    throw new ArgumentError(`multinomial: cannot sample n_sample <= 0 samples, got ${numSamples}`, { op })
  const classes = shape.at(-1)!
  if (!replacement && numSamples > classes)
    throw new ArgumentError(
      `multinomial: cannot sample n_sample > prob_dist.size(-1) samples without replacement: ${numSamples} > ${classes}`,
      { op, shapes: [shape] },
    )
  const p = readAll(concrete(op, weights))
  const rows = rank === 1 ? 1 : shape[0]!
  const row = (i: number): ArrayLike<number> => p.subarray(i * classes, (i + 1) * classes)
  for (let i = 0; i < rows; i++) checkWeights(row(i), numSamples, replacement)
  const sample = replacement ? withReplacement : withoutReplacement
  return drawn(op, [...shape.slice(0, -1), numSamples], dtypes.int32, (out) => {
    const data = dataView(out)
    const count = out.layout.numel / numSamples
    for (let i = 0; i < count; i++) data.set(sample(row(i % rows), numSamples, generator), out.layout.offset + i * numSamples)
  }) as Tensor
}

/**
 * Draws from softmax(logits) that can be differentiated: softmax((logits + Gumbel noise)/tau). `hard`: one-hot vectors forward,
 * the gradient of the soft ones backward.
 * @example
 * gumbelSoftmax(tensor([[0, 100, 0]]), { hard: true }).tolist() // [[0, 1, 0]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.gumbel_softmax.html
 */
export function gumbelSoftmax(
  logits: Tensor,
  options: { readonly tau?: number; readonly hard?: boolean; readonly dim?: number; readonly generator?: Generator } = {},
): Tensor {
  expectTensor('gumbelSoftmax', logits, 'argument 0')
  checkOptions('gumbelSoftmax', options, { tau: 'number', hard: 'boolean', dim: 'number', generator: 'any' })
  const { tau = 1, hard = false, dim = -1 } = options
  const generator = generatorOf('gumbelSoftmax', options.generator)
  if (!logits.dt.floating)
    throw new DTypeError(`gumbelSoftmax: expected float logits, got ${logits.dt.name}`, { op: 'gumbelSoftmax', dtypes: [logits.dtype] })
  const u = drawn('gumbelSoftmax', logits.shape, logits.dt, (out) => draw('uniform', out, generator, 0, 1)) as Tensor
  const soft = logits.sub(u.log().neg().log()).div(tau).softmax(dim)
  if (!hard) return soft
  const one = soft.zerosLike().scatter(dim, soft.argmax({ dim, keepdim: true }), 1)
  return one.sub(soft.detach()).add(soft)
}

/**
 * Class numbers (int32, any shape) as vectors of 0 and 1 (int32): shape + [numClasses], by default as many as are needed.
 * Errors: ArgumentError for numbers that are negative or not below `numClasses`, DTypeError for other dtypes. Inside `vmap`,
 * `numClasses` must be given, and numbers out of range give zeros.
 * @example
 * oneHot(tensor([2, 0], { dtype: 'int32' })).tolist() // [[0, 0, 1], [1, 0, 0]]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.one_hot.html
 */
export function oneHot(labels: Tensor, numClasses = -1): Tensor {
  const op = 'oneHot'
  expectTensor(op, labels, 'argument 0')
  if (labels.dt.name !== 'int32')
    throw new DTypeError(`oneHot: one_hot is only applicable to index type tensors of type int32, got ${labels.dtype}`, {
      op,
      dtypes: [labels.dtype],
    })
  if (!Number.isInteger(numClasses) || numClasses < -1 || numClasses === 0)
    throw new ArgumentError(`oneHot: expected a number of classes above 0, or -1 to find it, got ${numClasses}`, { op })
  const classes = numClasses < 0 || !isBatched(labels) ? checkLabels(labels, numClasses) : numClasses
  const numbers = empty(Layout.of([classes]), dtypes.int32, null)
  writeAll(
    numbers,
    Array.from({ length: classes }, (_, k) => k),
  )
  return labels
    .unsqueeze(-1)
    .eq(numbers as Tensor)
    .to('int32')
}

/** How many classes there are, after a look at all numbers. */
function checkLabels(labels: Tensor, numClasses: number): number {
  const op = 'oneHot'
  const at = readAll(concrete(op, labels))
  if (at.length === 0 && numClasses < 0)
    throw new ArgumentError('oneHot: Can not infer total number of classes from empty tensor.', { op, shapes: [labels.shape] })
  let most = -1
  for (const k of at) {
    if (k < 0) throw new ArgumentError(`oneHot: Class values must be non-negative, got ${k}`, { op })
    most = Math.max(most, k)
  }
  if (numClasses >= 0 && most >= numClasses)
    throw new ArgumentError(`oneHot: Class values must be smaller than num_classes: ${most} is not below ${numClasses}`, { op })
  return numClasses < 0 ? most + 1 : numClasses
}
