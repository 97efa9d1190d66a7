/** Named tensors as one safetensors file, in memory: reading and writing files is the caller's. */
import { tensor } from '../creation.ts'
import { arrayType, dtypes } from '../dtype.ts'
import type { Tensor } from '../fluent.ts'
import { decodeSafetensors, encodeSafetensors } from './safetensors.ts'

/**
 * The bytes of a safetensors file with these tensors: what PyTorch, numpy and others read. Writing them is the caller's.
 * Errors: SafetensorsError for names or metadata the format doesn't allow.
 * @example
 * const bytes = io.saveSafetensors({ weight: tensor([[1, 2]]) })
 * io.loadSafetensors(bytes)['weight']!.tolist() // [[1, 2]]
 * @see https://huggingface.co/docs/safetensors
 */
export function saveSafetensors(tensors: Readonly<Record<string, Tensor>>, metadata?: Record<string, string>): Uint8Array {
  const entries = Object.entries(tensors).map(([name, t]) => {
    const values = t.detach().toTypedArray()
    return { name, dtype: t.dtype, shape: [...t.shape], data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) }
  })
  return encodeSafetensors(entries, metadata)
}

/**
 * The tensors of a safetensors file by name. Errors: SafetensorsError for a damaged one, or for dtypes there is no tensor of.
 * @example
 * const model = new nn.Linear(2, 1)
 * const bytes = io.saveSafetensors(model.stateDict())
 * model.loadStateDict(io.loadSafetensors(bytes))
 * Object.keys(io.loadSafetensors(bytes)) // ['bias', 'weight']
 * @see https://huggingface.co/docs/safetensors
 */
export function loadSafetensors(bytes: Uint8Array): Record<string, Tensor> {
  return Object.fromEntries(
    decodeSafetensors(bytes).entries.map(({ name, dtype, shape, data }) => {
      const Type = arrayType(dtypes[dtype])
      const values = new Type(new Uint8Array(data).buffer)
      return [name, tensor(values, { dtype }).reshape([...shape])]
    }),
  )
}
