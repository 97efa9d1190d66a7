/** `gradtape/func`: transforms of functions of tensors. */

export { flatten, mapTensors, type Tree } from '../tree.ts'
export { type Argnums, type Fn, grad, gradAndValue, hessian, type InDims, jacfwd, jacrev, jvp, vjp, vmap } from './transforms.ts'
