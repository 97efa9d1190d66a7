/** A small WebAssembly assembler: kernels are written as calls that emit instructions, and come out as a binary module. */
import { noteSource } from '../source.ts'

/** A value type by its byte in the binary format. */
export type ValType = 0x7f | 0x7e | 0x7d | 0x7c | 0x7b
export const I32 = 0x7f
export const I64 = 0x7e
export const F32 = 0x7d
export const F64 = 0x7c
export const V128 = 0x7b

/** A local variable or parameter of the function being written. */
export interface Local {
  readonly index: number
  readonly type: ValType
}
/** A function of the module, to be called. */
export interface Func {
  readonly index: number
}
/** The target of a branch: the start of a loop, the end of a block or an if. */
export interface Label {
  readonly depth: number
}

/**
 * What an emitting call returns. Instructions are emitted in the order JavaScript evaluates the calls, arguments first, so
 * `f.i32.add(f.get(a), f.i32.const(1))` writes `local.get a, i32.const 1, i32.add`: nested calls read as an expression, and a
 * bare `f.i32.add()` takes what is on the stack.
 */
export type Emitted = void

/*
 * Instruction tables, names as in the specification. `0x..` sets the opcode of the next name, each name takes the next one.
 * A suffix says which immediates follow: `m` memory argument, `l` lane, `n` memory argument and lane, `s` sixteen lanes,
 * `c` a constant of the group's type, `k` a vector constant from lanes. Vector opcodes are 0xfd000 + n, saturating ones 0xfc000 + n.
 */
const OPS_I32 =
  '0x28 load:m 0x2c load8_s:m load8_u:m load16_s:m load16_u:m 0x36 store:m 0x3a store8:m store16:m 0x41 const:c 0x45 eqz eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u 0x67 clz ctz popcnt add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr 0xa7 wrap_i64 trunc_f32_s trunc_f32_u trunc_f64_s trunc_f64_u 0xbc reinterpret_f32 0xc0 extend8_s extend16_s 0xfc000 trunc_sat_f32_s trunc_sat_f32_u trunc_sat_f64_s trunc_sat_f64_u'
const OPS_I64 =
  '0x29 load:m 0x30 load8_s:m load8_u:m load16_s:m load16_u:m load32_s:m load32_u:m 0x37 store:m 0x3c store8:m store16:m store32:m 0x42 const:c 0x50 eqz eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u 0x79 clz ctz popcnt add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr 0xac extend_i32_s extend_i32_u trunc_f32_s trunc_f32_u trunc_f64_s trunc_f64_u 0xbd reinterpret_f64 0xc2 extend8_s extend16_s extend32_s 0xfc004 trunc_sat_f32_s trunc_sat_f32_u trunc_sat_f64_s trunc_sat_f64_u'
const OPS_F32 =
  '0x2a load:m 0x38 store:m 0x43 const:c 0x5b eq ne lt gt le ge 0x8b abs neg ceil floor trunc nearest sqrt add sub mul div min max copysign 0xb2 convert_i32_s convert_i32_u convert_i64_s convert_i64_u demote_f64 0xbe reinterpret_i32'
const OPS_F64 =
  '0x2b load:m 0x39 store:m 0x44 const:c 0x61 eq ne lt gt le ge 0x99 abs neg ceil floor trunc nearest sqrt add sub mul div min max copysign 0xb7 convert_i32_s convert_i32_u convert_i64_s convert_i64_u promote_f32 0xbf reinterpret_i64'
const OPS_V128 =
  '0xfd000 load:m load8x8_s:m load8x8_u:m load16x4_s:m load16x4_u:m load32x2_s:m load32x2_u:m load8_splat:m load16_splat:m load32_splat:m load64_splat:m store:m const:s 0xfd04d not and andnot or xor bitselect any_true load8_lane:n load16_lane:n load32_lane:n load64_lane:n store8_lane:n store16_lane:n store32_lane:n store64_lane:n load32_zero:m load64_zero:m'
const OPS_I8X16 =
  '0xfd00c const:k shuffle:s swizzle splat 0xfd015 extract_lane_s:l extract_lane_u:l replace_lane:l 0xfd023 eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u 0xfd060 abs neg popcnt all_true bitmask narrow_i16x8_s narrow_i16x8_u 0xfd06b shl shr_s shr_u add add_sat_s add_sat_u sub sub_sat_s sub_sat_u 0xfd076 min_s min_u max_s max_u 0xfd07b avgr_u 0xfd100 relaxed_swizzle 0xfd109 relaxed_laneselect'
const OPS_I16X8 =
  '0xfd00c const:k 0xfd010 splat 0xfd018 extract_lane_s:l extract_lane_u:l replace_lane:l 0xfd02d eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u 0xfd07c extadd_pairwise_i8x16_s extadd_pairwise_i8x16_u 0xfd080 abs neg q15mulr_sat_s all_true bitmask narrow_i32x4_s narrow_i32x4_u extend_low_i8x16_s extend_high_i8x16_s extend_low_i8x16_u extend_high_i8x16_u shl shr_s shr_u add add_sat_s add_sat_u sub sub_sat_s sub_sat_u 0xfd095 mul min_s min_u max_s max_u 0xfd09b avgr_u extmul_low_i8x16_s extmul_high_i8x16_s extmul_low_i8x16_u extmul_high_i8x16_u 0xfd10a relaxed_laneselect'
const OPS_I32X4 =
  '0xfd00c const:k 0xfd011 splat 0xfd01b extract_lane:l replace_lane:l 0xfd037 eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u 0xfd07e extadd_pairwise_i16x8_s extadd_pairwise_i16x8_u 0xfd0a0 abs neg 0xfd0a3 all_true bitmask 0xfd0a7 extend_low_i16x8_s extend_high_i16x8_s extend_low_i16x8_u extend_high_i16x8_u shl shr_s shr_u add 0xfd0b1 sub 0xfd0b5 mul min_s min_u max_s max_u dot_i16x8_s 0xfd0bc extmul_low_i16x8_s extmul_high_i16x8_s extmul_low_i16x8_u extmul_high_i16x8_u 0xfd0f8 trunc_sat_f32x4_s trunc_sat_f32x4_u 0xfd0fc trunc_sat_f64x2_s_zero trunc_sat_f64x2_u_zero 0xfd101 relaxed_trunc_f32x4_s relaxed_trunc_f32x4_u relaxed_trunc_f64x2_s_zero relaxed_trunc_f64x2_u_zero 0xfd10b relaxed_laneselect'
const OPS_I64X2 =
  '0xfd00c const:k 0xfd012 splat 0xfd01d extract_lane:l replace_lane:l 0xfd0c0 abs neg 0xfd0c3 all_true bitmask 0xfd0c7 extend_low_i32x4_s extend_high_i32x4_s extend_low_i32x4_u extend_high_i32x4_u shl shr_s shr_u add 0xfd0d1 sub 0xfd0d5 mul eq ne lt_s gt_s le_s ge_s extmul_low_i32x4_s extmul_high_i32x4_s extmul_low_i32x4_u extmul_high_i32x4_u 0xfd10c relaxed_laneselect'
const OPS_F32X4 =
  '0xfd00c const:k 0xfd013 splat 0xfd01f extract_lane:l replace_lane:l 0xfd041 eq ne lt gt le ge 0xfd05e demote_f64x2_zero 0xfd067 ceil floor trunc nearest 0xfd0e0 abs neg 0xfd0e3 sqrt add sub mul div min max pmin pmax 0xfd0fa convert_i32x4_s convert_i32x4_u 0xfd105 relaxed_madd relaxed_nmadd 0xfd10d relaxed_min relaxed_max'
const OPS_F64X2 =
  '0xfd00c const:k 0xfd014 splat 0xfd021 extract_lane:l replace_lane:l 0xfd047 eq ne lt gt le ge 0xfd05f promote_low_f32x4 0xfd074 ceil floor 0xfd07a trunc 0xfd094 nearest 0xfd0ec abs neg 0xfd0ef sqrt add sub mul div min max pmin pmax 0xfd0fe convert_low_i32x4_s convert_low_i32x4_u 0xfd107 relaxed_madd relaxed_nmadd 0xfd10f relaxed_min relaxed_max'

type Words<T extends string, Found = never> = T extends `${infer Head} ${infer Tail}` ? Words<Tail, Found | Head> : Found | T
type Names<T extends string> = Exclude<Words<T>, `0x${string}`>
type Call<W extends string> = W extends `${string}:c`
  ? (value: number | bigint) => Emitted
  : W extends `${string}:${string}` ? (...args: (Emitted | number | bigint)[]) => Emitted : (...operands: Emitted[]) => Emitted
/**
 * The instructions of one type as methods. Numbers among the arguments are immediates in order, wherever they stand: `load(address,
 * offset = 0, align = 0)`, `store(address, value, offset)`, `extract_lane(vector, lane)`, `load32_lane(address, vector, offset, lane)`.
 * Vector `const` takes all lanes, or one for all.
 */
export type Ops<T extends string> = { readonly [W in Names<T> as W extends `${infer N}:${string}` ? N : W]: Call<W> }

const VIEWS = {
  i8x16: Int8Array, i16x8: Int16Array, i32x4: Int32Array, i64x2: BigInt64Array, f32x4: Float32Array, f64x2: Float64Array,
}

type Group = { readonly body: Body }
const prototypes = new Map<string, object>()

function group<T extends string>(body: Body, name: string, table: T): Ops<T> {
  let prototype = prototypes.get(name)
  if (prototype === undefined) {
    const methods: Record<string, (this: Group, ...args: (Emitted | number | bigint)[]) => void> = {}
    let next = 0
    for (const word of table.split(' ')) {
      if (word.startsWith('0x')) {
        next = Number(word)
        continue
      }
      const [op, kind] = word.split(':') as [string, string | undefined]
      const code = next++
      methods[op] = function (...args): void {
        const { body } = this
        body.opcode(code)
        if (kind !== undefined) body.immediates(kind, name, args.filter((a) => a !== undefined) as (number | bigint)[])
      }
    }
    prototypes.set(name, (prototype = methods))
  }
  return Object.assign(Object.create(prototype), { body }) as Ops<T>
}

/** Unsigned LEB128. */
function unsigned(out: number[], value: number): void {
  while (value > 127) {
    out.push((value % 128) | 128)
    value = Math.floor(value / 128)
  }
  out.push(value)
}

/** Signed LEB128. */
function signed(out: number[], value: bigint): void {
  for (;;) {
    const low = Number(value & 127n)
    value >>= 7n
    if ((value === 0n && low < 64) || (value === -1n && low >= 64)) {
      out.push(low)
      return
    }
    out.push(low | 128)
  }
}

function append(out: number[], bytes: ArrayLike<number>): void {
  for (let i = 0; i < bytes.length; i++) out.push(bytes[i]!)
}

/** The byte order of a shuffle of two vectors, given in units of `bytes`. */
export function order(bytes: number, ...units: number[]): number[] {
  return units.flatMap((u) => Array.from({ length: bytes }, (_, i) => u * bytes + i))
}

/** A function being written. Its groups of instructions are made when the first one is emitted: most kernels need few. */
export class Body {
  readonly #groups: Record<string, object> = {}
  readonly #bytes: number[] = []
  readonly #locals: ValType[] = []
  readonly #params: number
  #depth = 0

  constructor(params: number) {
    this.#params = params
  }

  get i32(): Ops<typeof OPS_I32> {
    return this.#group('i32', OPS_I32)
  }
  get i64(): Ops<typeof OPS_I64> {
    return this.#group('i64', OPS_I64)
  }
  get f32(): Ops<typeof OPS_F32> {
    return this.#group('f32', OPS_F32)
  }
  get f64(): Ops<typeof OPS_F64> {
    return this.#group('f64', OPS_F64)
  }
  get v128(): Ops<typeof OPS_V128> {
    return this.#group('v128', OPS_V128)
  }
  get i8x16(): Ops<typeof OPS_I8X16> {
    return this.#group('i8x16', OPS_I8X16)
  }
  get i16x8(): Ops<typeof OPS_I16X8> {
    return this.#group('i16x8', OPS_I16X8)
  }
  get i32x4(): Ops<typeof OPS_I32X4> {
    return this.#group('i32x4', OPS_I32X4)
  }
  get i64x2(): Ops<typeof OPS_I64X2> {
    return this.#group('i64x2', OPS_I64X2)
  }
  get f32x4(): Ops<typeof OPS_F32X4> {
    return this.#group('f32x4', OPS_F32X4)
  }
  get f64x2(): Ops<typeof OPS_F64X2> {
    return this.#group('f64x2', OPS_F64X2)
  }

  #group<T extends string>(type: string, table: T): Ops<T> {
    return (this.#groups[type] ??= group(this, type, table) as object) as Ops<T>
  }

  /** A new local of this type, zero at first. */
  local(type: ValType): Local {
    this.#locals.push(type)
    return { index: this.#params + this.#locals.length - 1, type }
  }
  /** Several new locals of one type. */
  locals(type: ValType, count: number): Local[] {
    return Array.from({ length: count }, () => this.local(type))
  }
  /** A new local that starts with what is on the stack. */
  let(type: ValType, _value?: Emitted): Local {
    const local = this.local(type)
    this.set(local)
    return local
  }
  get(local: Local): Emitted {
    this.#op(0x20, local.index)
  }
  set(local: Local, _value?: Emitted): Emitted {
    this.#op(0x21, local.index)
  }
  tee(local: Local, _value?: Emitted): Emitted {
    this.#op(0x22, local.index)
  }
  /** Runs `body` once; branching to its label leaves it. */
  block(body: (end: Label) => void, result?: ValType): Emitted {
    this.#nest(0x02, body, result)
  }
  /** Runs `body` once; branching to its label starts it again. */
  loop(body: (again: Label) => void, result?: ValType): Emitted {
    this.#nest(0x03, body, result)
  }
  if(_condition: Emitted, then: (end: Label) => void, otherwise?: (end: Label) => void, result?: ValType): Emitted {
    this.#open(0x04, result)
    const label = { depth: this.#depth }
    then(label)
    if (otherwise !== undefined) {
      this.#bytes.push(0x05)
      otherwise(label)
    }
    this.#close()
  }
  /** Tests before the first and after every turn, so that the loop has one branch; `condition` is emitted twice. */
  while(condition: () => Emitted, body: () => void): Emitted {
    this.if(condition(), () => {
      this.loop((again) => {
        body()
        this.br_if(again, condition())
      })
    })
  }
  br(label: Label): Emitted {
    this.#op(0x0c, this.#depth - label.depth)
  }
  br_if(label: Label, _condition?: Emitted): Emitted {
    this.#op(0x0d, this.#depth - label.depth)
  }
  return(_value?: Emitted): Emitted {
    this.#bytes.push(0x0f)
  }
  call(func: Func, ..._operands: Emitted[]): Emitted {
    this.#op(0x10, func.index)
  }
  drop(_value?: Emitted): Emitted {
    this.#bytes.push(0x1a)
  }
  /** The first value if the condition is not 0, else the second. */
  select(..._operands: Emitted[]): Emitted {
    this.#bytes.push(0x1b)
  }
  unreachable(): Emitted {
    this.#bytes.push(0x00)
  }
  memoryCopy(_to?: Emitted, _from?: Emitted, _bytes?: Emitted): Emitted {
    this.#bytes.push(0xfc, 10, 0, 0)
  }
  memoryFill(_at?: Emitted, _byte?: Emitted, _bytes?: Emitted): Emitted {
    this.#bytes.push(0xfc, 11, 0)
  }

  /** Emits an instruction of the tables. */
  opcode(code: number): void {
    if (code < 256) this.#bytes.push(code)
    else this.#op(code >> 12, code & 0xfff)
  }
  /** Emits what follows an opcode. */
  immediates(kind: string, type: string, values: readonly (number | bigint)[]): void {
    const out = this.#bytes
    if (kind === 'm' || kind === 'n') {
      const lane = kind === 'n' ? values[values.length - 1] : undefined
      const [offset = 0, align = 0] = lane === undefined ? values : values.slice(0, -1)
      unsigned(out, Number(align))
      unsigned(out, Number(offset))
      if (lane !== undefined) out.push(Number(lane))
    } else if (kind === 'l' || kind === 's') {
      append(out, values.map(Number))
    } else if (kind === 'k') {
      const view = new VIEWS[type as keyof typeof VIEWS](16 / Number(type.slice(1, type.indexOf('x'))) * 8)
      const wide = view instanceof BigInt64Array
      for (let i = 0; i < view.length; i++) {
        const value = values[values.length === 1 ? 0 : i]!
        view[i] = wide ? BigInt(value) : Number(value)
      }
      append(out, new Uint8Array(view.buffer))
    } else if (type === 'i32') signed(out, BigInt(Number(values[0]) | 0))
    else if (type === 'i64') signed(out, BigInt.asIntN(64, BigInt(values[0]!)))
    else append(out, new Uint8Array((type === 'f32' ? Float32Array : Float64Array).of(Number(values[0])).buffer))
  }

  /** The function's entry of the code section. */
  encode(): number[] {
    const head: number[] = []
    const runs: [number, ValType][] = []
    for (const type of this.#locals) {
      const last = runs[runs.length - 1]
      if (last?.[1] === type) last[0]++
      else runs.push([1, type])
    }
    unsigned(head, runs.length)
    for (const [count, type] of runs) {
      unsigned(head, count)
      head.push(type)
    }
    const out: number[] = []
    unsigned(out, head.length + this.#bytes.length + 1)
    append(out, head)
    append(out, this.#bytes)
    out.push(0x0b)
    return out
  }

  #op(code: number, immediate: number): void {
    this.#bytes.push(code)
    unsigned(this.#bytes, immediate)
  }
  #open(code: number, result: ValType | undefined): void {
    this.#bytes.push(code, result ?? 0x40)
    this.#depth++
  }
  #close(): void {
    this.#bytes.push(0x0b)
    this.#depth--
  }
  #nest(code: number, body: (label: Label) => void, result: ValType | undefined): void {
    this.#open(code, result)
    body({ depth: this.#depth })
    this.#close()
  }
}

/** The memory a module imports, in pages of 64 KiB. The limits must allow the memory it is given. */
export interface MemoryImport {
  readonly shared: boolean
  readonly initial?: number
  readonly maximum?: number
}

/** A module being written: one imported memory (`env.memory`), imported functions (`env.…`), functions and exports. */
export class ModuleBuilder {
  readonly #memory: MemoryImport | undefined
  readonly #types: string[] = []
  readonly #typeBytes: number[][] = []
  readonly #imports: { name: string; type: number }[] = []
  readonly #funcs: { type: number; body: Body }[] = []
  readonly #exports: { name: string; index: number }[] = []

  constructor(memory?: MemoryImport) {
    this.#memory = memory
  }

  /** A function from outside. All imports come before the first function. */
  importFunc(name: string, params: readonly ValType[], results: readonly ValType[]): Func {
    if (this.#funcs.length > 0) throw new Error(`import of ${name} after the first function`)
    this.#imports.push({ name, type: this.#type(params, results) })
    return { index: this.#imports.length - 1 }
  }

  /** Writes a function; with a name it is exported. */
  func<const P extends readonly ValType[]>(
    params: P,
    results: readonly ValType[],
    write: (f: Body, ...params: { [K in keyof P]: Local }) => void,
    name?: string,
  ): Func {
    const index = this.#imports.length + this.#funcs.length
    const body = new Body(params.length)
    this.#funcs.push({ type: this.#type(params, results), body })
    write(body, ...(params.map((type, i) => ({ index: i, type })) as { [K in keyof P]: Local }))
    if (name !== undefined) this.#exports.push({ name, index })
    return { index }
  }

  /** The binary module. */
  encode(): Uint8Array<ArrayBuffer> {
    const out = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]
    const section = (id: number, entries: readonly (readonly number[])[]): void => {
      if (entries.length === 0) return
      const content: number[] = []
      unsigned(content, entries.length)
      for (const entry of entries) append(content, entry)
      out.push(id)
      unsigned(out, content.length)
      append(out, content)
    }
    const entry = (write: (bytes: number[]) => void): number[] => {
      const bytes: number[] = []
      write(bytes)
      return bytes
    }
    const name = (bytes: number[], text: string): void => {
      const utf8 = new TextEncoder().encode(text)
      unsigned(bytes, utf8.length)
      append(bytes, utf8)
    }
    const imports = this.#imports.map((f) => entry((bytes) => {
      name(bytes, 'env')
      name(bytes, f.name)
      bytes.push(0)
      unsigned(bytes, f.type)
    }))
    const memory = this.#memory
    if (memory !== undefined) {
      imports.push(entry((bytes) => {
        name(bytes, 'env')
        name(bytes, 'memory')
        const maximum = memory.maximum ?? (memory.shared ? 65536 : undefined)
        bytes.push(2, memory.shared ? 3 : maximum === undefined ? 0 : 1)
        unsigned(bytes, memory.initial ?? 1)
        if (maximum !== undefined) unsigned(bytes, maximum)
      }))
    }
    section(1, this.#typeBytes)
    section(2, imports)
    section(3, this.#funcs.map((f) => entry((bytes) => unsigned(bytes, f.type))))
    section(7, this.#exports.map((e) => entry((bytes) => {
      name(bytes, e.name)
      bytes.push(0)
      unsigned(bytes, e.index)
    })))
    section(10, this.#funcs.map((f) => f.body.encode()))
    return new Uint8Array(out)
  }

  #type(params: readonly ValType[], results: readonly ValType[]): number {
    const key = `${params.join()}>${results.join()}`
    const known = this.#types.indexOf(key)
    if (known >= 0) return known
    const bytes = [0x60]
    unsigned(bytes, params.length)
    append(bytes, params)
    unsigned(bytes, results.length)
    append(bytes, results)
    this.#typeBytes.push(bytes)
    return this.#types.push(key) - 1
  }
}

/** A builder whose module imports this memory. */
export function moduleFor(memory: WebAssembly.Memory | undefined): ModuleBuilder {
  const shared = typeof SharedArrayBuffer !== 'undefined' && memory?.buffer instanceof SharedArrayBuffer
  return new ModuleBuilder({ shared })
}

/** Compiles and instantiates at once; returns the exported functions. */
export function instantiate(
  bytes: Uint8Array<ArrayBuffer>,
  memory: WebAssembly.Memory | undefined,
  imports: Record<string, (...args: number[]) => number | void> = {},
): Record<string, (...args: number[]) => number> {
  const env: WebAssembly.ModuleImports = { ...imports }
  if (memory !== undefined) env['memory'] = memory
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env })
  const exports = instance.exports as Record<string, (...args: number[]) => number>
  const kernels = Object.values(exports)
  if (kernels.length === 1) noteSource(kernels[0]!, { bytes, imports: Object.keys(imports) })
  return exports
}
