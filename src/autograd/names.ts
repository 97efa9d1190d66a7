/** Names for messages: of parameters (whoever walks a module's parameters leaves them here), and of what made a tensor. */
import type { TensorCore } from '../tensor.ts'

/** What made a tensor, as messages name it: `Mul` for `MulBackward0`. */
export function operatorOf(node: { name(): string }): string {
  return node.name().replace(/Backward\d*$/, '')
}

const names = new WeakMap<TensorCore, string>()

/** Calls the tensor `name` in messages from now on. */
export function nameTensor(t: TensorCore, name: string): void {
  names.set(t, name)
}

/** The name given last, if any. */
export function nameOf(t: TensorCore): string | undefined {
  return names.get(t)
}
