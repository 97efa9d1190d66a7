/** The safetensors format: a file of the reference implementation, round trips, and everything that must be refused. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type DType, dtypes } from '../src/dtype.ts'
import { AutogradError } from '../src/errors.ts'
import { decodeSafetensors, encodeSafetensors, type SafetensorsEntry, SafetensorsError } from '../src/io/safetensors.ts'

const bytesOf = (a: ArrayBufferView): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength)

/** A file with this header text and as many data bytes. */
function file(header: string, data = 0, claimed?: bigint): Uint8Array {
  const text = new TextEncoder().encode(header)
  const out = new Uint8Array(8 + text.length + data)
  new DataView(out.buffer).setBigUint64(0, claimed ?? BigInt(text.length), true)
  out.set(text, 8)
  return out
}
const f32 = (shape: string, offsets: string): string => `{"dtype":"F32","shape":${shape},"data_offsets":${offsets}}`

// safetensors.numpy.save of the tensors below with {'format': 'np'}.
const written =
  'iAEAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJmb3JtYXQiOiJucCJ9LCJiaWFzIjp7ImR0eXBlIjoiRjY0Iiwic2hhcGUiOlsyXSwiZGF0YV9vZmZzZXRzIjpb' +
  'MCwxNl19LCJlbXB0eSI6eyJkdHlwZSI6IkYzMiIsInNoYXBlIjpbMCwzXSwiZGF0YV9vZmZzZXRzIjpbMTYsMTZdfSwid2VpZ2h0Ijp7ImR0eXBlIjoiRjMy' +
  'Iiwic2hhcGUiOlsyLDNdLCJkYXRhX29mZnNldHMiOlsxNiw0MF19LCJzdGVwIjp7ImR0eXBlIjoiSTMyIiwic2hhcGUiOltdLCJkYXRhX29mZnNldHMiOls0' +
  'MCw0NF19LCJieXRlcyI6eyJkdHlwZSI6IlU4Iiwic2hhcGUiOlsxLDNdLCJkYXRhX29mZnNldHMiOls0NCw0N119LCJtYXNrIjp7ImR0eXBlIjoiQk9PTCIs' +
  'InNoYXBlIjpbM10sImRhdGFfb2Zmc2V0cyI6WzQ3LDUwXX19ICAgIAAAAAAAAPg/AAAAAAAAAsAAAAAAAACAPgAAAD8AAEA/AACAPwAAoD8HAAAAAQL/AQAB'
const reference: SafetensorsEntry[] = [
  { name: 'bias', dtype: 'float64', shape: [2], data: bytesOf(Float64Array.of(1.5, -2.25)) },
  { name: 'empty', dtype: 'float32', shape: [0, 3], data: new Uint8Array(0) },
  { name: 'weight', dtype: 'float32', shape: [2, 3], data: bytesOf(Float32Array.of(0, 0.25, 0.5, 0.75, 1, 1.25)) },
  { name: 'step', dtype: 'int32', shape: [], data: bytesOf(Int32Array.of(7)) },
  { name: 'bytes', dtype: 'uint8', shape: [1, 3], data: Uint8Array.of(1, 2, 255) },
  { name: 'mask', dtype: 'bool', shape: [3], data: Uint8Array.of(1, 0, 1) },
]

describe('the reference implementation', () => {
  const bytes = Uint8Array.from(atob(written), (c) => c.charCodeAt(0))

  test('its file is read', () => {
    const { entries, metadata } = decodeSafetensors(bytes)
    expect(metadata).toEqual({ format: 'np' })
    expect(entries).toEqual(reference)
  })
  test('we write the same bytes, whatever the order of the entries', () => {
    expect(encodeSafetensors([...reference].reverse(), { format: 'np' })).toEqual(bytes)
  })
  test('a file in the middle of a buffer is read', () => {
    const within = new Uint8Array(bytes.length + 13)
    within.set(bytes, 5)
    expect(decodeSafetensors(within.subarray(5, 5 + bytes.length)).entries).toEqual(reference)
  })
})

describe('round trip', () => {
  const entry = fc
    .record({
      name: fc.string({ unit: 'binary' }),
      dtype: fc.constantFrom<DType>('float32', 'float64', 'int32', 'uint8', 'bool'),
      shape: fc.array(fc.nat(4), { maxLength: 4 }),
      seed: fc.nat(255),
    })
    .map(({ name, dtype, shape, seed }) => {
      const size = shape.reduce((a, b) => a * b, 1) * dtypes[dtype].bytes
      return { name, dtype, shape, data: Uint8Array.from({ length: size }, (_, i) => (seed + i) & 255) }
    })

  test('any entries come back', () => {
    const entries = fc
      .uniqueArray(entry, { selector: (e) => e.name, maxLength: 8 })
      .filter((all) => all.every((e) => e.name !== '__metadata__'))
    fc.assert(
      fc.property(entries, fc.dictionary(fc.string(), fc.string()), (all, metadata) => {
        const bytes = encodeSafetensors(all, metadata)
        const back = decodeSafetensors(bytes)
        const byName = (a: SafetensorsEntry, b: SafetensorsEntry): number => (a.name < b.name ? -1 : 1)
        expect([...back.entries].sort(byName)).toEqual([...all].sort(byName))
        expect(Object.entries(back.metadata)).toEqual(Object.entries(metadata))
        const length = Number(new DataView(bytes.buffer).getBigUint64(0, true))
        expect(length % 8).toBe(0)
        for (const { dtype, data } of back.entries) expect(data.byteOffset % dtypes[dtype].bytes).toBe(0)
      }),
    )
  })
  test('names that JavaScript objects treat specially', () => {
    const data = Uint8Array.of(1)
    const all = ['__proto__', '10', '9', 'constructor'].map((name): SafetensorsEntry => ({ name, dtype: 'uint8', shape: [], data }))
    expect(new Set(decodeSafetensors(encodeSafetensors(all)).entries.map((e) => e.name))).toEqual(new Set(all.map((e) => e.name)))
  })
  test('nothing at all', () => {
    expect(decodeSafetensors(encodeSafetensors([]))).toEqual({ entries: [], metadata: {} })
  })
})

describe('reading refuses', () => {
  const cases: [string, Uint8Array, string][] = [
    ['no bytes', new Uint8Array(0), 'at least 8 bytes'],
    ['a header of 100 GB', file('{}', 0, 100_000_000_000n), 'limit'],
    ['a header of 2⁶⁴ − 1 bytes', file('{}', 0, 2n ** 64n - 1n), 'limit'],
    ['a header longer than the file', file('{}', 0, 3n), 'the file ends'],
    ['an empty header', file(''), 'not JSON'],
    ['a header that is not JSON', file('{"a":'), 'not JSON'],
    ['a header that is not UTF-8', ((): Uint8Array => file('{"?":1}').map((b) => (b === 0x3f ? 0xff : b)))(), 'not JSON'],
    ['a header that is an array', file('[]'), 'not a JSON object'],
    ['a header that starts with a space', file(' {}'), 'not a JSON object'],
    ['an entry that is null', file('{"a":null}'), 'not a JSON object'],
    ['an unknown dtype', file('{"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}', 2), 'not supported'],
    ['no dtype', file('{"a":{"shape":[1],"data_offsets":[0,4]}}', 4), 'not supported'],
    ['a negative size', file(`{"a":${f32('[-1]', '[0,4]')}}`, 4), 'not a shape'],
    ['a fractional size', file(`{"a":${f32('[0.5]', '[0,2]')}}`, 2), 'not a shape'],
    ['no shape', file('{"a":{"dtype":"F32","data_offsets":[0,4]}}', 4), 'not a shape'],
    ['a shape too large to count', file(`{"a":${f32('[9007199254740991,9007199254740991,0]', '[0,0]')}}`), 'too large'],
    ['three offsets', file(`{"a":${f32('[1]', '[0,4,8]')}}`, 8), 'not data offsets'],
    ['negative offsets', file(`{"a":${f32('[1]', '[-4,0]')}}`, 4), 'not data offsets'],
    ['offsets backwards', file(`{"a":${f32('[1]', '[4,0]')}}`, 4), 'said to lie'],
    ['offsets past the end', file(`{"a":${f32('[1]', '[4,8]')}}`, 4), 'said to lie'],
    ['a size that does not fit', file(`{"a":${f32('[2]', '[0,4]')}}`, 4), 'takes 8 bytes'],
    ['overlapping data', file(`{"a":${f32('[2]', '[0,8]')},"b":${f32('[2]', '[4,12]')}}`, 12), 'inside other data'],
    ['the same data twice', file(`{"a":${f32('[1]', '[0,4]')},"b":${f32('[1]', '[0,4]')}}`, 4), 'inside other data'],
    ['a gap', file(`{"a":${f32('[1]', '[0,4]')},"b":${f32('[1]', '[8,12]')}}`, 12), 'after a gap'],
    ['data that starts late', file(`{"a":${f32('[1]', '[4,8]')}}`, 8), 'after a gap'],
    ['bytes nobody owns', file(`{"a":${f32('[1]', '[0,4]')}}`, 5), 'the file has 5'],
    ['a name twice', file(`{"a":${f32('[1]', '[0,4]')},"a":${f32('[1]', '[4,8]')}}`, 8), 'after a gap'],
    ['metadata that is not text', file('{"__metadata__":{"a":1}}'), 'not a string'],
    ['metadata that is no object', file('{"__metadata__":[]}'), 'not a JSON object'],
  ]
  test.each(cases)('%s', (_, bytes, message) => {
    expect(() => decodeSafetensors(bytes)).toThrow(SafetensorsError)
    expect(() => decodeSafetensors(bytes)).toThrow(message)
  })

  test('any damage is refused with a typed error or read as something valid', () => {
    const good = encodeSafetensors(reference, { format: 'np' })
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, byte, end) => {
        const bad = good.slice(0, end)
        if (at < end) bad[at] = byte
        try {
          decodeSafetensors(bad)
        } catch (error) {
          expect(error).toBeInstanceOf(SafetensorsError)
        }
      }),
      { numRuns: 2000 },
    )
  })
  test('and says which tensor', () => {
    const bytes = file(`{"layer.0":${f32('[2]', '[0,4]')}}`, 4)
    expect(() => decodeSafetensors(bytes)).toThrow(expect.objectContaining({ name: 'SafetensorsError', entry: 'layer.0' }))
    expect(() => decodeSafetensors(bytes)).toThrow(AutogradError)
  })
})

describe('writing refuses', () => {
  const one: SafetensorsEntry = { name: 'a', dtype: 'float32', shape: [1], data: new Uint8Array(4) }
  const cases: [string, SafetensorsEntry[], string][] = [
    ['too little data', [{ ...one, shape: [2] }], 'takes 8 bytes, got 4'],
    ['a name twice', [one, one], 'two tensors'],
    ['the name of the metadata', [{ ...one, name: '__metadata__' }], 'may not have this name'],
    ['an impossible shape', [{ ...one, shape: [-1] }], 'not a shape'],
    ['an unknown dtype', [{ ...one, dtype: 'float16' as DType }], 'unknown dtype'],
  ]
  test.each(cases)('%s', (_, entries, message) => {
    expect(() => encodeSafetensors(entries)).toThrow(SafetensorsError)
    expect(() => encodeSafetensors(entries)).toThrow(message)
  })
  test('metadata that is not text', () => {
    expect(() => encodeSafetensors([], { a: 1 } as never)).toThrow('not a string')
  })
})
