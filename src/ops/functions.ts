/** Operations that are functions only: their first argument is not the tensor they belong to. */
export * from './dropout.ts'
export * from './functional.ts'
export * from './join.ts'
export * from './loss.ts'
export * from './normalization.ts'
export * from './product.ts'
