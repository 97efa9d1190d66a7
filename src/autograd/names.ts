/** Names of parameters, for messages: whoever walks a module's parameters leaves them here. */
import type { TensorCore } from '../tensor.ts'

const names = new WeakMap<TensorCore, string>()

/** Calls the tensor `name` in messages from now on. */
export function nameTensor(t: TensorCore, name: string): void {
  names.set(t, name)
}

/** The name given last, if any. */
export function nameOf(t: TensorCore): string | undefined {
  return names.get(t)
}
