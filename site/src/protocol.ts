// The messages between the page, its worker and the Go core. wasm/protocol.go is the
// twin of the part that concerns Go; both carry the same PROTOCOL number, and the
// worker refuses to run when they differ.

import type { Reading } from './reader'
import type { Target } from './target'

export const PROTOCOL = 6

/** A file as the page got it; name may hold a folder path. */
export interface Input { name: string, blob: Blob }

/** What `inspect` answers. */
export interface Inspection {
  name: string, bytes: number, format: string
  /** 0 when the model is one file. */
  shards: number
  /** Small files that are copied along with shards. */
  beside: number
  tensors: number, parameters: number, dtypes: string[], notes: string[]
  /** Of a file that holds several models; else empty. */
  parts: Part[]
  /** Files of the model, of which this is one, that are not there. */
  missing: string[]
}

/** One of several models in a file; chosen when it is what is converted. */
export interface Part { name: string, tensors: number, bytes: number, ema: boolean, chosen: boolean }

export interface Scheme {
  weight_dtype: string, granularity: string, quantization_scheme: string
  block_size: number[] | null, scale_shape: number[]
}

/** What quantizing cost; null before converting and for kept tensors. */
export interface Figures { rmse: number | null, sqnr_db: number | null, cosine: number | null, max_abs_error: number | null }

/** One row of report.json. */
export interface TensorRow extends Figures {
  name: string, shape: number[], dtype: string
  module: string, module_type: string, module_type_source: string
  verdict: 'quantize' | 'keep', rule: string, reason: string, reason_code: string, scheme: Scheme | null
  bytes_in: number, bytes_out: number, parameters: number, beyond_coremltools: string
}

export interface FileRow { name: string, bytes: number, sha256: string | null, format: string }

/** report.json, which is also what `plan` answers. */
export interface Report {
  nibble: string, inputs: FileRow[], output: FileRow, files: FileRow[], recipe: unknown, tensors: TensorRow[], notes: string[]
  totals: Figures & { tensors: number, quantized: number, parameters: number, bytes_in: number, bytes_out: number, bytes_weights: number, bytes_left_out: number }
  /** fits: what would quantize more of the model; else about Apple's devices. */
  advice: { about: string, text: string, fits: boolean }[]
  warnings: { about: string, text: string, names: string[] }[]
  /** Why the plan can be shown but not converted; mostly "". */
  problem: string
  problem_code: string
}

/** What `plan` is asked for, as JSON. */
export interface PlanRequest {
  config: string
  /** Win over the config; null keeps the module. */
  edits: { module: string, config: object | null }[]
  types: { module: string, class: string }[]
  embeddings: boolean, coremltoolsSkips: boolean, keepUnfit: boolean
  container: string, highNibble: string
}

/** What `config` answers: the plan's recipe, and what no config can say. */
export interface Exported { json: string, yaml: string, notes: string[] }

/** What `verify` answers. */
export interface Verification {
  ok: boolean, container: string
  tensors: { name: string, verdict: string, ok: boolean, problem: string }[]
}

/** An error of the core: format and unsupported are the file's, machine is the computer's, internal is ours. */
export interface Failure { kind: 'format' | 'unsupported' | 'machine' | 'internal', code?: string, message: string }

/** The calls of the worker, by name: arguments and answer. */
export interface Calls {
  inspect: { args: [files: Input[], parts: string[]], answer: Inspection }
  plan: { args: [request: string], answer: Report }
  measure: { args: [names: string], answer: Record<string, Figures> }
  convert: { args: [name: string, hash: boolean, target: Target, workers: number], answer: { report: Report, output: Input[] } }
  report: { args: [form: 'csv' | 'html'], answer: string }
  python: { args: [name: string], answer: string }
  config: { args: [], answer: Exported }
  verify: { args: [output: Input[]], answer: Verification }
}
export type CallName = keyof Calls

/** Page to worker. The first message is Start. */
export interface Start { start: Address }
export interface Address { base: string, version: string, tab: string, language: string }
/** How many hands the worker is to have. */
export interface Enlist { enlist: number }
export type Request = { [C in CallName]: { id: number, call: C, args: Calls[C]['args'] } }[CallName]

/** Worker to page. */
export type Response =
  | { loaded: true }
  | { ready: true }
  | { fatal: Failure }
  | { id: number, answer: unknown }
  | { id: number, failure: Failure }
  | { id: number, done: number, total: number }

/** The leading worker to a hand; the module is compiled once. */
export type ToHand =
  | { hand: Address, module: WebAssembly.Module }
  | { files: Input[], reading: Reading }
  | { id: number, tasks: string, spare: ArrayBuffer[] }

/** A hand to the leading worker. */
export type FromHand =
  | { loaded: true }
  | { fatal: Failure }
  | { id: number, text: string, bytes: Uint8Array[] }
  | { id: number, failure: Failure }
