/** Named tensors as one safetensors file, in memory: reading and writing files is the caller's. */
import { tensor } from '../creation.ts'
import { arrayType, dtypes } from '../dtype.ts'
import { Tensor } from '../fluent.ts'
import { describe } from '../options.ts'
import { decodeSafetensors, encodeSafetensors, isRecord, SafetensorsError } from './safetensors.ts'

/**
 * The bytes of a safetensors file with these tensors: what PyTorch, numpy and others read. Writing them is the caller's.
 * Errors: SafetensorsError for names or metadata the format doesn't allow.
 * @example
 * const bytes = io.saveSafetensors({ weight: tensor([[1, 2]]) })
 * io.loadSafetensors(bytes)['weight']!.tolist() // [[1, 2]]
 * @see https://huggingface.co/docs/safetensors
 */
export function saveSafetensors(tensors: Readonly<Record<string, Tensor>>, metadata?: Record<string, string>): Uint8Array {
  if (!isRecord(tensors) || tensors instanceof Tensor) throw new SafetensorsError('saveSafetensors: expected tensors by name')
  if (metadata !== undefined && !isRecord(metadata)) throw new SafetensorsError('saveSafetensors: expected metadata as texts by name')
  const entries = Object.entries(tensors).map(([name, t]) => {
    if (!(t instanceof Tensor)) throw new SafetensorsError(`saveSafetensors: expected a tensor, got ${describe(t)}`, name)
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
  if (!(bytes instanceof Uint8Array)) throw new SafetensorsError(`loadSafetensors: expected a Uint8Array, got ${describe(bytes)}`)
  return Object.fromEntries(
    decodeSafetensors(bytes).entries.map(({ name, dtype, shape, data }) => {
      const Type = arrayType(dtypes[dtype])
      const values = new Type(new Uint8Array(data).buffer)
      return [name, tensor(values, { dtype }).reshape([...shape])]
    }),
  )
}
