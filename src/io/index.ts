/** `gradtape/io`: tensors as bytes. */
export { SafetensorsError } from './safetensors.ts'
export { loadSafetensors, saveSafetensors } from './tensors.ts'
