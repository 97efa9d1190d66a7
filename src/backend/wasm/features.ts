/** Which WebAssembly instructions this machine runs: found out from tiny modules, when first asked. */
import { type Body, ModuleBuilder, V128 } from './assembler.ts'

/** What kernels may use. */
export interface WasmFeatures extends Relaxed {
  readonly simd: boolean
}

/** May kernels use the relaxed instructions, fused multiply-add among them? Found out when first read, which takes Node 20 2 ms. */
export interface Relaxed {
  readonly relaxed: boolean
}

type BuiltinModules = { getBuiltinModule?: (name: 'v8') => { setFlagsFromString(flags: string): void } | undefined }

let found: WasmFeatures | undefined

/** The features of this machine; `strict` leaves the relaxed instructions unused, so that results are the same everywhere. */
export function wasmFeatures(strict = false): WasmFeatures {
  found ??= new Found()
  return strict ? { simd: found.simd, relaxed: false } : found
}

class Found implements WasmFeatures {
  readonly simd: boolean = typeof WebAssembly !== 'undefined' && compiles((f) => f.f32x4.add())
  #relaxed: boolean | undefined

  get relaxed(): boolean {
    return (this.#relaxed ??= this.simd && relaxed())
  }
}

function relaxed(): boolean {
  const madd = (f: Body): void => f.f32x4.relaxed_madd()
  if (validates(madd)) return true
  // V8 before 11.4 (Node 20) has the instructions behind a flag, which works until the first module that needs them.
  try {
    const { process } = globalThis as { process?: BuiltinModules }
    process?.getBuiltinModule?.('v8')?.setFlagsFromString('--experimental-wasm-relaxed-simd')
  } catch {
    return false
  }
  return validates(madd)
}

/** May programs with this instruction be made? Content security policies forbid making them, not asking if they are valid. */
function compiles(instruction: (f: Body) => void): boolean {
  try {
    return new WebAssembly.Module(ending(instruction)) instanceof WebAssembly.Module
  } catch {
    return false
  }
}

function validates(instruction: (f: Body) => void): boolean {
  return WebAssembly.validate(ending(instruction))
}

/** A module with a function of three vectors that ends in this instruction. */
function ending(instruction: (f: Body) => void): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder()
  module.func([V128, V128, V128], [V128], (f, a, b, c) => {
    f.get(a)
    f.get(b)
    f.get(c)
    instruction(f)
    f.return()
  })
  return module.encode()
}
