// The worker: it loads the Go core and passes calls to it, and gives conversions a place to
// write to. It is started from a blob, so that the page's content security policy binds it
// too; absolute addresses come with the first message. For large models there are several:
// one leads, the others are its pool, which only do tasks.

import { Pool, type PoolWorker } from '../pool/pool'
import type {
  Address,
  Call,
  Conversion,
  Enlist,
  Fault,
  FromPool,
  Input,
  Relayed,
  RelayStep,
  Response,
  Start,
  ToPool,
} from '../shared/messages'
import { PROTOCOL, type ConvertRequest } from '../shared/protocol'
import { setLanguage, words } from '../shared/words'
import { chooseReading, readBy, sourceOf, type Out, type Source } from './reader'
import { relay, relayed } from './relay'
import { openSink, type Sink } from './sink'

/** A sink as the core sees it: bytes lie in its memory. */
type CoreSink = Pick<Sink, 'create' | 'close'> & { write(at: number, n: number): Promise<void> | undefined }

type Progress = (done: number, total: number) => void

/** What wasm/main.go sets. Each call takes one object: data is JSON of protocol.ts, beside it are live things. */
interface Core {
  protocol: number
  inspect(q: { data: string; files: Source[] }): Promise<string>
  plan(q: { data: string }): Promise<string>
  measure(q: { data: string }): Promise<string>
  convert(q: { data: string; sink: CoreSink; progress: Progress; workers: PoolWorker[] }): Promise<string>
  report(q: { data: string }): Promise<string>
  python(q: { data: string }): Promise<string>
  config(q: object): Promise<string>
  verify(q: { files: Source[]; progress: Progress }): Promise<string>
  files(q: { files: Source[] }): Promise<string>
  work(q: { data: string; out: Out & { put(at: number, n: number): void } }): Promise<string>
}

interface GoRuntime {
  importObject: WebAssembly.Imports
  run(i: WebAssembly.Instance): Promise<void>
}

declare const self: {
  onmessage: ((e: MessageEvent<Start | Enlist | Relayed | Call | ToPool>) => void) | null
  postMessage(m: Response | FromPool, transfer?: Transferable[]): void
  importScripts(url: string): void
  Go: new () => GoRuntime
  nibble?: Core
  fs: { writeSync(fd: number, b: Uint8Array): number }
}

let core: Core
let module: WebAssembly.Module
let memory: WebAssembly.Memory
let address: Address
/** What is open; a conversion measures how it is best read. */
let inputs: Input[] = []

const memoryNow = () => memory.buffer as ArrayBuffer
const pool = new Pool(memoryNow)
const sources = (files: Input[]) => files.map(f => sourceOf(f, memoryNow))

self.onmessage = e => {
  const m = e.data
  const fatal = (err: unknown) => self.postMessage({ fatal: failure(err) })
  if ('start' in m) lead(m.start).catch(fatal)
  else if ('join' in m) ready = join(m.join, m.module).catch(fatal)
  else if ('relayed' in m) relayed(m.failure)
  else if ('enlist' in m) pool.enlist(m.enlist, address, module)
  else if ('files' in m) ready = ready.then(() => core.files({ files: sources(m.files) })).then(() => readBy(m.reading))
  else if ('tasks' in m)
    ready
      .then(() => work(m.id, m.tasks, m.spare))
      .catch((err: unknown) => self.postMessage({ id: m.id, failure: failure(err) }))
  else serve(m).catch((err: unknown) => self.postMessage({ id: m.id, failure: failure(err) }))
}

/**
 * Whoever started this worker sends nothing before: Firefox loses what comes to a worker's worker that is still
 * loading.
 */
self.postMessage({ loaded: true })

async function lead(start: Address) {
  address = start
  setLanguage(start.language)
  self.importScripts(`${start.base}wasm_exec.js?v=${start.version}`)
  module = await compile(`${start.base}nibble.wasm?v=${start.version}`)
  await run()
  self.postMessage({ ready: true })
}

/** In a worker of the pool: what came before, in order. */
let ready: Promise<unknown> = Promise.resolve()

async function join(start: Address, compiled: WebAssembly.Module) {
  setLanguage(start.language)
  self.importScripts(`${start.base}wasm_exec.js?v=${start.version}`)
  module = compiled
  await run()
}

/** Does tasks for the leading worker. The arrays of an earlier answer take this one's bytes. */
async function work(id: number, tasks: string, spare: ArrayBuffer[]) {
  const bytes: Uint8Array[] = []
  const add = (b: Uint8Array) => {
    const i = spare.findIndex(s => s.byteLength >= b.length)
    const copy = new Uint8Array(i < 0 ? new ArrayBuffer(b.length) : spare.splice(i, 1)[0]!, 0, b.length)
    copy.set(b)
    bytes.push(copy)
  }
  const answer = await core.work({
    data: tasks,
    out: { add, put: (at, n) => add(new Uint8Array(memory.buffer, at, n)) },
  })
  self.postMessage(
    { id, text: answer, bytes },
    bytes.map(b => b.buffer),
  )
}

/** Streams where the host sends application/wasm, else takes the long way. */
async function compile(url: string) {
  const response = await fetch(url)
  if (!response.ok) throw new Error(words.core(response.status))
  if (response.headers.get('Content-Type')?.startsWith('application/wasm'))
    return WebAssembly.compileStreaming(response)
  return WebAssembly.compile(await response.arrayBuffer())
}

/** Starts the core, which ends only when it dies. */
async function run() {
  const go = new self.Go()
  const said = captureStderr()
  const instance = await WebAssembly.instantiate(module, go.importObject)
  memory = instance.exports.mem as WebAssembly.Memory
  // Go sets self.nibble before it first waits.
  void go.run(instance).then(() => self.postMessage({ fatal: { kind: 'internal', message: said() || words.stopped } }))
  if (!self.nibble || self.nibble.protocol !== PROTOCOL) throw new Error(words.versions)
  core = self.nibble
}

/** Keeps what Go writes first when it dies: the reason comes before the stacks. */
function captureStderr() {
  let said = ''
  const decoder = new TextDecoder()
  self.fs.writeSync = (_fd, b) => {
    if (said.length < 10_000) said += decoder.decode(b)
    return b.length
  }
  return () => /^(panic|fatal error): .*/m.exec(said)?.[0] ?? ''
}

async function serve(m: Call) {
  const { id } = m
  const progress: Progress = (done, total) => self.postMessage({ id, done, total })
  self.postMessage({ id, answer: await answerTo(m, progress) })
}

async function answerTo(m: Call, progress: Progress): Promise<unknown> {
  if (m.call === 'convert') return convert(m.request, m.id, progress)
  return JSON.parse(await ask(m, progress))
}

/** What the core answers, as JSON. */
function ask(m: Exclude<Call, { call: 'convert' }>, progress: Progress): Promise<string> {
  switch (m.call) {
    case 'inspect': {
      const { inputs: files, ...data } = m.request
      inputs = files
      return core.inspect({ data: JSON.stringify(data), files: sources(files) })
    }
    case 'verify':
      return core.verify({ files: sources(m.request.output), progress })
    case 'config':
      return core.config({})
    default:
      return core[m.call]({ data: JSON.stringify(m.request) })
  }
}

/** Converts into a sink, which leaves nothing behind when that fails. */
async function convert({ place, workers, ...asked }: Conversion, id: number, progress: Progress) {
  const send = (step: RelayStep, transfer: Transferable[]) => self.postMessage({ id, relay: step }, transfer)
  const sink = place.kind === 'relay' ? relay(send) : await openSink(address.tab, place)
  try {
    pool.enlist(workers, address, module)
    const reading = await chooseReading(inputs)
    readBy(reading)
    const into = {
      create: sink.create,
      close: sink.close,
      write: (at: number, n: number) => sink.write(new Uint8Array(memory.buffer, at, n)),
    }
    // A folder that goes into one file is a zip.
    const zip = place.kind === 'private' || place.kind === 'file'
    const data: ConvertRequest = { ...asked, zip, batch: reading.batch }
    const report = await core.convert({
      data: JSON.stringify(data),
      sink: into,
      progress,
      workers: pool.lend(workers, inputs, reading),
    })
    return { report: JSON.parse(report), output: await sink.finish() }
  } catch (err) {
    await sink.discard()
    throw err
  }
}

function failure(err: unknown): Fault {
  if (typeof err === 'object' && err !== null && 'kind' in err) return err as Fault
  return { kind: 'machine', message: err instanceof Error ? err.message : String(err) }
}
