/** Makes a gradient fit what it is the gradient of: the one place where broadcasting is undone and dtypes are brought back. */
import { GraphError, show } from '../errors.ts'
import { cast, sumTo } from '../execute.ts'
import type { Tensor } from '../fluent.ts'
import { expandable, sameShape } from '../shape.ts'
import type { TensorCore } from '../tensor.ts'
import type { Node, OutputMeta, Pass } from './node.ts'

/** `g`, gradient i that `node` made, with the shape and dtype of `meta`. Errors: GraphError when the shapes can't be reconciled. */
export function fit(g: TensorCore, meta: OutputMeta, node: Node, i: number, task: Pass): TensorCore {
  const { shape, dt } = meta
  let out = g
  if (!sameShape(g.layout.shape, shape)) {
    if (!expandable(shape, g.layout.shape)) {
      throw new GraphError(
        `Function ${node.name()} returned an invalid gradient at index ${i} - got ${show(g.layout.shape)} but expected shape compatible with ${show(shape)}`,
        { op: node.name(), shapes: [g.layout.shape, shape] },
      )
    }
    out = task.createGraph ? (out as Tensor).sumToSize(shape) : sumTo(out, shape, task.area)
  }
  if (out.dt !== dt && meta.anyDtype !== true) out = task.createGraph ? (out as Tensor).to(dt.name) : cast(out, dt, task.area)
  return out
}
