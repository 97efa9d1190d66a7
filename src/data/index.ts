/** `gradtape/data`: datasets of tensors and batches of them. */
export { DataLoader, type DataLoaderOptions, TensorDataset } from './loader.ts'
