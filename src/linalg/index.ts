/** Linear algebra: `gradtape/linalg`, torch.linalg's names. */
export * from './decompose.ts'
export * from './lobpcg.ts'
export * from './more.ts'
export * from './solve.ts'
