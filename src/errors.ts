/** Every error the library throws: one typed class per cause, with the facts as fields. */

/** The facts an error may carry, for programs that want more than the text. */
export interface ErrorDetail {
  /** The operation that refused, in torch's word: `matmul`. */
  readonly op?: string | undefined
  readonly shapes?: readonly (readonly number[])[] | undefined
  readonly dtypes?: readonly string[] | undefined
  readonly cause?: unknown
}

/** The root of the library's errors: `catch (e) { if (e instanceof AutogradError) … }`. */
export class AutogradError extends Error {
  override name = 'AutogradError'
  readonly op: string | undefined
  readonly shapes: readonly (readonly number[])[] | undefined
  readonly dtypes: readonly string[] | undefined

  constructor(message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause })
    this.op = detail.op
    this.shapes = detail.shapes
    this.dtypes = detail.dtypes
  }
}

/** Shapes that don't fit together, or a size that isn't one. */
export class ShapeError extends AutogradError {
  override name = 'ShapeError'
}
/** A dtype an operation can't take, or a value a dtype can't hold. */
export class DTypeError extends AutogradError {
  override name = 'DTypeError'
}
/** An index or a dimension out of its range. */
export class IndexError extends AutogradError {
  override name = 'IndexError'
}
/** An argument of the wrong type or an impossible value. */
export class ArgumentError extends AutogradError {
  override name = 'ArgumentError'
}
/** An in-place operation where autograd forbids one, or one that spoilt a saved value. */
export class InPlaceError extends AutogradError {
  override name = 'InPlaceError'
}
/** A use of the graph that autograd refuses: no graph, a freed graph, an unused input. */
export class GraphError extends AutogradError {
  override name = 'GraphError'
}
/** A grad mode, scope or level that was left open or crossed an `await`. */
export class ModeError extends AutogradError {
  override name = 'ModeError'
}
/** Something this operation, dtype or backend does not do (yet). */
export class UnsupportedError extends AutogradError {
  override name = 'UnsupportedError'
}
/** A matrix that an algorithm of linear algebra can't take: a singular one, one that isn't positive definite. */
export class LinAlgError extends AutogradError {
  override name = 'LinAlgError'
}
/** A tensor whose memory its scope has given back. */
export class ReleasedTensorError extends AutogradError {
  override name = 'ReleasedTensorError'
}
/** No memory left for a tensor, after everything that could be collected was. */
export class MemoryError extends AutogradError {
  override name = 'MemoryError'
}

/** Runs what the operation `op` is made of: errors of the operations inside name it, too, and are the causes of what is thrown. */
export function within<T>(op: string, run: () => T): T {
  try {
    return run()
  } catch (e) {
    if (!(e instanceof AutogradError) || e.op === undefined || e.op === op) throw e
    throw new (e.constructor as typeof AutogradError)(`${e.message} (in ${op})`, { ...e, op, cause: e })
  }
}

/** `[2, 3]`, the way shapes stand in every message. */
export function show(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`
}
