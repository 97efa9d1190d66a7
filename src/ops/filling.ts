/** Random numbers in place, and draws with given probabilities. */
import { wrap } from '../autograd/levels.ts'
import type { DrawKind } from '../backend/backend.ts'
import type { DTypeInfo } from '../dtype.ts'
import { DTypeError, UnsupportedError } from '../errors.ts'
import { copyInto } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { type GeneralOp, general, inFront, vjp } from '../op/general.ts'
import { checkKind, checkOptions } from '../options.ts'
import { type Generator, generatorOf } from '../random.ts'
import { dataView, empty, expectTensor, readAll } from '../tensor.ts'
import { draw, drawingLevel } from './drawing.ts'
import { overwrite } from './overwrite.ts'
import { isBatched } from './positions.ts'

/** Options of random operations. */
export interface GeneratorOption {
  /** Default: the one that `manualSeed` seeds. */
  readonly generator?: Generator
}

function floats(op: string, dt: DTypeInfo): void {
  if (!dt.floating) throw new DTypeError(`${op}: only float32 and float64 are supported, got ${dt.name}`, { op, dtypes: [dt.name] })
}

function generatorIn(op: string, options: GeneratorOption | undefined): Generator {
  checkOptions(op, options, { generator: 'any' })
  return generatorOf(op, options?.generator)
}

function fillWithDraws(
  op: string,
  node: string,
  x: Tensor,
  kind: DrawKind,
  options: GeneratorOption | undefined,
  a: number,
  b: number,
): Tensor {
  expectTensor(op, x, 'argument 0')
  if (kind !== 'bernoulli') floats(op, x.dt)
  for (const n of [a, b]) checkKind(op, 'a parameter', n, 'number')
  const generator = generatorIn(op, options)
  if (drawingLevel(op)?.randomness === 'different' && !isBatched(x)) {
    throw new UnsupportedError(
      `${op}: vmap: Cannot ask for different inplace randomness on an unbatched tensor. This will appear like same randomness`,
      { op },
    )
  }
  return overwrite(op, node, x, null, () => {
    if (x.layout.contiguous) return draw(kind, x, generator, a, b)
    const drawn = empty(Layout.of(x.shape), x.dt, null)
    draw(kind, drawn, generator, a, b)
    copyInto(x, drawn)
  })
}

/**
 * x overwritten by uniform numbers in [from, to).
 * @example
 * zeros([3]).uniform_(2, 2).tolist() // [2, 2, 2]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.uniform_.html
 */
export function uniform_(x: Tensor, from = 0, to = 1, options?: GeneratorOption): Tensor {
  return fillWithDraws('uniform_', 'UniformBackward0', x, 'uniform', options, from, to)
}

/**
 * x overwritten by normal numbers.
 * @example
 * zeros([3]).normal_(5, 0).tolist() // [5, 5, 5]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.normal_.html
 */
export function normal_(x: Tensor, mean = 0, std = 1, options?: GeneratorOption): Tensor {
  return fillWithDraws('normal_', 'NormalBackward0', x, 'normal', options, mean, std)
}

/**
 * x overwritten by ones, with probability p, and zeros.
 * @example
 * zeros([3]).bernoulli_(1).tolist() // [1, 1, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.Tensor.bernoulli_.html
 */
export function bernoulli_(x: Tensor, p = 0.5, options?: GeneratorOption): Tensor {
  return fillWithDraws('bernoulli_', 'BernoulliBackward0', x, 'bernoulli', options, p, 1)
}

const bernoulliOp: GeneralOp<{ readonly generator: Generator }> = /* @__PURE__ */ general('bernoulli', {
  node: 'BernoulliBackward0',
  forward: (x, { generator }, owner) => {
    const t = x[0]!
    const p = readAll(t)
    const out = empty(Layout.of(t.layout.shape), t.dt, owner)
    generator.bernoulli(dataView(out).subarray(out.layout.offset, out.layout.offset + out.layout.numel), p)
    return out
  },
  // A draw is constant almost everywhere.
  vjp: [vjp([], (g) => g.zerosLike())],
  jvp: (t) => t[0]!.zerosLike(),
  batch: (b) => {
    if (drawingLevel('bernoulli')?.randomness === 'same')
      throw new UnsupportedError("bernoulli: vmap: randomness 'same' needs probabilities that are the same for all examples", {
        op: 'bernoulli',
      })
    return bernoulliOp.one([inFront(b, 0)], b.p)
  },
})

/**
 * Draws of 0 and 1, each 1 with the probability that stands in x.
 * Errors: ArgumentError for a probability outside [0, 1], DTypeError for integers.
 * @example
 * tensor([0, 1]).bernoulli().tolist() // [0, 1]
 * @see https://docs.pytorch.org/docs/stable/generated/torch.bernoulli.html
 */
export function bernoulli(x: Tensor, options?: GeneratorOption): Tensor {
  expectTensor('bernoulli', x, 'argument 0')
  floats('bernoulli', x.dt)
  const level = drawingLevel('bernoulli')
  const each = level?.randomness === 'different' && !isBatched(x) ? (wrap(level, x.expand([level.size, ...x.shape])) as Tensor) : x
  return bernoulliOp.one([each], { generator: generatorIn('bernoulli', options) })
}
