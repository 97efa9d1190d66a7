/** The first gradient in gradtape. */
import { tensor } from '../../dist/index.js'

export function firstGradient() {
  const x = tensor([1, 2, 3], { requiresGrad: true })
  x.mul(x).sum().backward()
  return x.grad.tolist()
}
