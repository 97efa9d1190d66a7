/** `gradtape/data`: datasets, and batches of them. */
export { type Collated, defaultCollate } from './collate.ts'
export { type Dataset, randomSplit, Subset, TensorDataset } from './dataset.ts'
export { DataLoader, type DataLoaderOptions, type Source } from './loader.ts'
