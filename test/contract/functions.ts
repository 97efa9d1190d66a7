/** Custom Functions and readers of facts, shared by the contract cases. */
import type * as custom from '../../src/autograd/index.ts'
import * as torch from '../../src/index.ts'

export type Tensor = torch.Tensor
export type Ctx = custom.FunctionCtx
/** A context whose fields the case declares. */
export type With<T extends object> = custom.FunctionCtx<T, readonly [Tensor, Tensor]>

export const leaf = (...values: number[]): Tensor => torch.tensor(values, { dtype: 'float64', requiresGrad: true })
export const plain = (...values: number[]): Tensor => torch.tensor(values, { dtype: 'float64' })

/** The numbers of a tensor, as the recording has them. */
export function nums(t: unknown): unknown {
  if (t === null || t === undefined) return null
  return (t as Tensor).detach().to('float64').tolist()
}

export function facts(t: Tensor): object {
  return {
    value: nums(t),
    requiresGrad: t.requiresGrad,
    isLeaf: t.isLeaf,
    node: t.gradFn?.name() ?? null,
    version: t._version,
    dtype: t.dtype,
  }
}

/** The text of the error that `fn` throws; null if it throws none. */
export function error(fn: () => unknown): string | null {
  try {
    fn()
  } catch (e) {
    return (e as Error).message.split('\n')[0]!
  }
  return null
}

export interface Loose<R = Tensor> {
  readonly name: string
  apply(...args: unknown[]): R
}

type Method = (...args: never[]) => unknown

/** A class named `Mine` with these static methods. */
export function define<R = Tensor>(forward: Method, backward?: Method, more: object = {}): Loose<R> {
  class Mine extends torch.autograd.Function {}
  Object.assign(Mine, { forward }, backward === undefined ? {} : { backward }, more)
  return Mine as unknown as Loose<R>
}

export class Double extends torch.autograd.Function {
  static forward(_ctx: Ctx, x: Tensor): Tensor {
    return x.mul(2)
  }
  static backward(_ctx: Ctx, g: Tensor): Tensor {
    return g.mul(2)
  }
}

export class Square extends torch.autograd.Function {
  static forward(ctx: With<object>, x: Tensor): Tensor {
    ctx.saveForBackward(x)
    return x.mul(x)
  }
  static backward(ctx: With<object>, g: Tensor): Tensor {
    const [x] = ctx.savedTensors
    return g.mul(2).mul(x)
  }
}

export class Exp extends torch.autograd.Function {
  static forward(ctx: With<object>, x: Tensor): Tensor {
    const y = x.exp()
    ctx.saveForBackward(y)
    return y
  }
  static backward(ctx: With<object>, g: Tensor): Tensor {
    const [y] = ctx.savedTensors
    return g.mul(y)
  }
}

export class Same extends torch.autograd.Function {
  static forward(_ctx: Ctx, x: Tensor): Tensor {
    return x
  }
  static backward(_ctx: Ctx, g: Tensor): Tensor {
    return g.mul(3)
  }
}

/** Adds its second argument into the first. */
export const AddInto: Loose = define(
  (ctx: Ctx, a: Tensor, b: Tensor) => {
    ctx.markDirty(a)
    a.add_(b)
    return a
  },
  (_ctx: Ctx, g: Tensor) => [g, g.mul(10)],
)

export class Cube extends torch.autograd.Function {
  static forward(x: Tensor, k: number): Tensor {
    return x.pow(3).mul(k)
  }
  static setupContext(ctx: With<{ k: number }>, [x, k]: [Tensor, number], _output: Tensor): void {
    ctx.saveForBackward(x)
    ctx.saveForForward(x)
    ctx.k = k
  }
  static backward(ctx: With<{ k: number }>, g: Tensor): [Tensor, null] {
    const [x] = ctx.savedTensors
    return [g.mul(3).mul(x.pow(2)).mul(ctx.k), null]
  }
  static jvp(ctx: With<{ k: number }>, t: Tensor): Tensor {
    const [x] = ctx.savedTensors
    return t.mul(3).mul(x.pow(2)).mul(ctx.k)
  }
}

export class BatchedCube extends Cube {
  static generateVmapRule = true
}
