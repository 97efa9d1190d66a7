/** Everything runs without fused multiply-add, as on machines that have none. */
import { setBackend } from '../../src/index.ts'

setBackend('wasm-strict')
