/** When gradient rules may run a kernel: nobody records what they do, and no transform watches. */
import { modes } from '../autograd/modes.ts'
import { needs } from '../autograd/record.ts'
import type { TensorCore } from '../tensor.ts'

/** Must what is computed from this tensor be followed? Then a rule runs in public operations instead of a kernel. */
export function followed(t: TensorCore): boolean {
  return t.wrap !== null || (modes.grad && needs(t, null))
}
