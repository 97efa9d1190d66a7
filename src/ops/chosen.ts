/** Operations that choose elements along a dim: the values and where they were. */
import { dtypes } from '../dtype.ts'
import { contiguous } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { Layout } from '../layout.ts'
import { type GeneralOp, general, inFront, OUT, vjp } from '../op/general.ts'
import type { Shape } from '../shape.ts'
import { dataView, empty } from '../tensor.ts'
import { around } from './positions.ts'

/** How a choice is made along a dim; without `keepdim` one element is chosen and the dim goes. */
export interface Chosen {
  readonly dim: number
  readonly keepdim: boolean
}

/** Values and their int32 positions along a dim. */
export interface ValuesAndIndices {
  readonly values: Tensor
  /** int32 */
  readonly indices: Tensor
}

/** The gradient of values chosen along a dim, added at the positions they came from; zeros elsewhere. */
export function placeBack(g: Tensor, indices: Tensor, shape: Shape, { dim, keepdim }: Chosen): Tensor {
  if (shape.length === 0) return g
  const zeros = g.sum().zerosLike().expand(shape)
  return keepdim ? zeros.scatterAdd(dim, indices, g) : zeros.scatterAdd(dim, indices.unsqueeze(dim), g.unsqueeze(dim))
}

/**
 * The gradient of an extremum or a median, which the elements equal to it share evenly. `nan`: a NaN counts as equal to a
 * NaN; otherwise none is. g and y stand over x; `dims` are those that were reduced.
 */
export function shareTies(g: Tensor, x: Tensor, y: Tensor, dims: readonly number[] | undefined, nan: boolean): Tensor {
  const equal = x.eq(y)
  const mask = (nan ? equal.logicalOr(x.ne(x).logicalAnd(y.ne(y))) : equal).detach()
  const ties = mask.to(x.dtype).sum(dims === undefined ? { keepdim: false } : { dim: dims, keepdim: true })
  // Without a tie (a NaN that equals nothing) this is 0/0.
  return g.expand(x.shape).where(mask, 0).div(ties)
}

/** The shape of what is chosen, `size` elements along the dim. */
function chosenShape(shape: Shape, { dim, keepdim }: Chosen, size: number): Shape {
  if (shape.length === 0) return shape
  return keepdim ? shape.map((n, d) => (d === dim ? size : n)) : shape.filter((_, d) => d !== dim)
}

/**
 * Declares such an operation: `pick` gives the positions of the chosen elements of one line, `size(n)` of them (default 1).
 * Results: values and positions.
 */
// @__NO_SIDE_EFFECTS__
export function chooser<P extends Chosen>(
  name: string,
  node: string,
  pick: (line: Float64Array, p: P) => ArrayLike<number>,
  size: (n: number, p: P) => number = () => 1,
): (x: Tensor, p: P) => ValuesAndIndices {
  const op: GeneralOp<P> = general<P>(name, {
    node,
    forward: ([x], p, owner) => {
      const [outer, n, inner] = around(x!.layout.shape, p.dim)
      const m = size(n, p)
      const layout = Layout.of(chosenShape(x!.layout.shape, p, m))
      const values = empty(layout, x!.dt, owner)
      const indices = empty(layout, dtypes.int32, null)
      const source = contiguous(x!, owner)
      const from = dataView(source)
      const toValues = dataView(values)
      const toIndices = dataView(indices)
      const line = new Float64Array(n)
      for (let o = 0; o < outer; o++) {
        for (let i = 0; i < inner; i++) {
          const start = source.layout.offset + o * n * inner + i
          for (let k = 0; k < n; k++) line[k] = from[start + k * inner]!
          const at = pick(line, p)
          for (let k = 0; k < m; k++) {
            const target = (o * m + k) * inner + i
            toIndices[target] = at[k]!
            toValues[target] = from[start + at[k]! * inner]!
          }
        }
      }
      return [values, indices]
    },
    vjp: [vjp([OUT - 1], (_g, c, gs) => (gs[0] ? placeBack(gs[0], c.out(1), c.shapeOf(0), c.p) : null))],
    batch: (b) => {
      const x = inFront(b, 0)
      return x.layout.rank < 2 ? undefined : (op.call([x], { ...b.p, dim: b.p.dim + 1 }) as Tensor[])
    },
    results: ['values', 'indices'],
  })
  return (x, p) => {
    const [values, indices] = op.call([x], p) as Tensor[]
    return { values: values!, indices: indices! }
  }
}
