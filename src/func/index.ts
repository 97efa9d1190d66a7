/** `gradtape/func`: transforms of functions of tensors. */

export type { Randomness } from '../autograd/levels.ts'
export { flatten, mapTensors, type Tree } from '../tree.ts'
export { type ForwardOptions, hessian, type JacobianOptions, jacfwd, jacrev } from './jacobian.ts'
export { type FunctionalCallOptions, functionalCall, type NamedTensors, stackModuleState } from './modules.ts'
export { type Argnums, type AuxOption, type Fn, grad, gradAndValue, jvp, linearize, vjp } from './transforms.ts'
export { type InDim, type InDims, type VmapOptions, vmap } from './vmap.ts'
