// The messages between the library, its worker, and the worker's pool. What the Go core is asked and answers is in
// protocol.ts, which is made of the Go types.

import type {
  ConvertRequest,
  Exported,
  Failure,
  Figures,
  Inspection,
  InspectRequest,
  MeasureRequest,
  PlanRequest,
  PythonRequest,
  Report,
  ReportRequest,
  Verification,
} from './protocol'
import type { Place } from './place'
import type { Language } from './words'

/** A file to open; name may hold the path of a folder. */
export interface Input {
  name: string
  blob: Blob
}

/** A file of a result. A blob reads it, unless it went where only the caller can read. */
export interface Output {
  name: string
  blob?: Blob
}

/** A step of a result that goes to the caller's own place. */
export type RelayStep =
  | { step: 'create'; name: string; bytes: number }
  | { step: 'write'; bytes: Uint8Array }
  | { step: 'close' }
  | { step: 'abort' }

/** A conversion: what the core is asked, less what the worker knows best, and where the result goes. */
export type Conversion = Omit<ConvertRequest, 'batch' | 'zip'> & { place: Place; workers: number }

/** The calls of the worker, by name: one request and its answer. */
export interface Calls {
  inspect: { request: InspectRequest & { inputs: Input[] }; answer: Inspection }
  plan: { request: PlanRequest; answer: Report }
  measure: { request: MeasureRequest; answer: Record<string, Figures> }
  convert: { request: Conversion; answer: { report: Report; output: Output[] } }
  report: { request: ReportRequest; answer: string }
  python: { request: PythonRequest; answer: string }
  config: { request: Record<string, never>; answer: Exported }
  verify: { request: { output: Input[] }; answer: Verification }
}
export type CallName = keyof Calls

/** Library to worker. The first message is Start. */
export interface Start {
  start: Address
}
export interface Address {
  base: string
  version: string
  tab: string
  language: Language
}
/** How many workers the pool is to have. */
export interface Enlist {
  enlist: number
}
/** The step of a relay was taken, or failed. */
export interface Relayed {
  relayed: true
  failure?: Fault
}
export type Call = { [C in CallName]: { id: number; call: C; request: Calls[C]['request'] } }[CallName]

/** What went wrong with a call, or with the worker. */
export type Fault = Pick<Failure, 'kind' | 'message'> & Partial<Failure>

/** Worker to library. */
export type Response =
  | { loaded: true }
  | { ready: true }
  | { fatal: Fault }
  | { id: number; answer: unknown }
  | { id: number; failure: Fault }
  | { id: number; done: number; total: number }
  | { id: number; relay: RelayStep }

/** How a browser likes files to be read, and how much at a time. */
export interface Reading {
  way: Way
  batch: number
}
export type Way = 'stream' | 'slice' | 'sync'

/** The leading worker to a worker of its pool; the module is compiled once. */
export type ToPool =
  | { join: Address; module: WebAssembly.Module }
  | { files: Input[]; reading: Reading }
  | { id: number; tasks: string; spare: ArrayBuffer[] }

/** A worker of the pool to the leading one. */
export type FromPool =
  | { loaded: true }
  | { fatal: Fault }
  | { id: number; text: string; bytes: Uint8Array[] }
  | { id: number; failure: Fault }

/** Where the core's memory is: it moves when it grows. */
export type Memory = () => ArrayBuffer
