/** The first gradient in jax-js. */
import { grad, init, numpy as np } from '@jax-js/jax'

export async function firstGradient() {
  await init('wasm')
  return await grad((x) => x.ref.mul(x).sum())(np.array([1, 2, 3])).data()
}
