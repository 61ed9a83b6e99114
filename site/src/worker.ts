// The worker: it loads the Go core and passes calls to it, and gives conversions a place to
// write to. It is started from a blob, so that the page's content security policy binds it
// too; absolute addresses come with the first message. For large models there are several:
// one leads, the others are its hands, which only do tasks.

import { Hands, type Hand } from './hands'
import { PROTOCOL, type Enlist, type Failure, type FromHand, type Input, type Request, type Response, type Start, type ToHand } from './protocol'
import { chooseReading, readBy, sourceOf, type Source } from './reader'
import { openSink, sweep, type Sink } from './sink'
import { speak, text } from './text'

/** A sink as the core sees it: bytes lie in its memory. */
type CoreSink = Pick<Sink, 'create' | 'close'> & { write(at: number, n: number): Promise<void> | undefined }

/** What wasm/main.go sets; its twin is wasm/protocol.go. */
interface Core {
  protocol: number
  inspect(files: Source[]): Promise<string>
  plan(request: string): Promise<string>
  measure(names: string): Promise<string>
  convert(name: string, hash: boolean, zip: boolean, sink: CoreSink, progress: (done: number, total: number) => void, hands: Hand[]): Promise<string>
  report(form: string): Promise<string>
  python(name: string): Promise<string>
  config(): Promise<string>
  verify(output: Source[], progress: (done: number, total: number) => void): Promise<string>
  files(files: Source[]): Promise<string>
  work(tasks: string, give: (at: number, n: number) => void): Promise<string>
}

interface GoRuntime { importObject: WebAssembly.Imports, run(i: WebAssembly.Instance): Promise<void> }

declare const self: {
  onmessage: ((e: MessageEvent<Start | Enlist | Request>) => void) | null
  postMessage(m: Response): void
  importScripts(url: string): void
  Go: new () => GoRuntime
  nibble?: Core
  fs: { writeSync(fd: number, b: Uint8Array): number }
}

let core: Core
let module: WebAssembly.Module
let memory: WebAssembly.Memory
let tab = ''
/** What is open; a conversion measures how it is best read. */
let inputs: Input[] = []

const memoryNow = () => memory.buffer as ArrayBuffer
const hands = new Hands(memoryNow)
const sources = (files: Input[]) => files.map(f => sourceOf(f, memoryNow))

self.onmessage = e => {
  const m = e.data
  if ('start' in m) {
    const begun = m.start.hand ? serveAsHand(m.start, m.start.hand.port, m.start.hand.module) : lead(m.start)
    begun.catch((err: unknown) => self.postMessage({ fatal: failure(err) }))
  } else if ('hands' in m) hands.add(m.hands)
  else serve(m).catch((err: unknown) => self.postMessage({ id: m.id, failure: failure(err) }))
}

async function lead(start: Start['start']) {
  tab = start.tab
  speak(start.language)
  self.importScripts(`${start.base}wasm_exec.js?v=${start.version}`)
  module = await compile(`${start.base}nibble.wasm?v=${start.version}`)
  await run(fatal => self.postMessage({ fatal }))
  await sweep(tab)
  self.postMessage({ ready: module })
}

/** Streams where the host sends application/wasm, else takes the long way. */
async function compile(url: string) {
  const response = await fetch(url)
  if (!response.ok) throw new Error(text.errors.core(response.status))
  if (response.headers.get('Content-Type')?.startsWith('application/wasm')) return WebAssembly.compileStreaming(response)
  return WebAssembly.compile(await response.arrayBuffer())
}

/** Starts the core; died is told when it ends, which it does only then. */
async function run(died: (f: Failure) => void) {
  const go = new self.Go()
  const said = captureStderr()
  const instance = await WebAssembly.instantiate(module, go.importObject)
  memory = instance.exports.mem as WebAssembly.Memory
  // Go sets self.nibble before it first waits.
  void go.run(instance).then(() => died({ kind: 'internal', message: said() || text.errors.stopped }))
  if (!self.nibble || self.nibble.protocol !== PROTOCOL) throw new Error(text.errors.versions)
  core = self.nibble
}

/** Does the tasks that the leading worker sends. */
async function serveAsHand({ base, version, language }: Start['start'], port: MessagePort, compiled: WebAssembly.Module) {
  speak(language)
  self.importScripts(`${base}wasm_exec.js?v=${version}`)
  const post = (m: FromHand, transfer: Transferable[] = []) => port.postMessage(m, transfer)
  module = compiled
  let ready: Promise<unknown> = run(fatal => post({ fatal }))
  ready.catch((err: unknown) => post({ fatal: failure(err) }))
  port.onmessage = ({ data }: MessageEvent<ToHand>) => {
    if ('files' in data) {
      readBy(data.way)
      ready = ready.then(() => core.files(sources(data.files)))
      ready.catch(() => undefined) // whoever asks next is told
    } else {
      const { id, tasks } = data
      let bytes: Uint8Array | undefined
      ready.then(() => core.work(tasks, (at, n) => { bytes = new Uint8Array(memory.buffer, at, n).slice() })).then(
        answer => post({ id, text: answer, bytes }, bytes ? [bytes.buffer] : []),
        (err: unknown) => post({ id, failure: failure(err) }))
    }
  }
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

async function serve(m: Request) {
  const { id } = m
  const progress = (done: number, total: number) => self.postMessage({ id, done, total })
  let answer: unknown
  switch (m.call) {
    case 'inspect':
      inputs = m.args[0]
      answer = JSON.parse(await core.inspect(sources(inputs)))
      break
    case 'plan': answer = JSON.parse(await core.plan(...m.args)); break
    case 'measure': answer = JSON.parse(await core.measure(...m.args)); break
    case 'report': answer = JSON.parse(await core.report(...m.args)); break
    case 'python': answer = JSON.parse(await core.python(...m.args)); break
    case 'config': answer = JSON.parse(await core.config()); break
    case 'verify': answer = JSON.parse(await core.verify(sources(m.args[0]), progress)); break
    case 'convert': {
      const [name, hash, target, workers] = m.args
      const sink = await openSink(tab, target)
      try {
        const way = await chooseReading(inputs)
        readBy(way)
        const into = { create: sink.create, close: sink.close, write: (at: number, n: number) => sink.write(new Uint8Array(memory.buffer, at, n)) }
        // A sharded result that goes to no folder is one zip.
        const report = await core.convert(name, hash, target.kind === 'private', into, progress, hands.lend(workers, inputs, way))
        answer = { report: JSON.parse(report), output: await sink.finish() }
      } catch (err) {
        await sink.discard()
        throw err
      }
    }
  }
  self.postMessage({ id, answer })
}

function failure(err: unknown): Failure {
  if (typeof err === 'object' && err !== null && 'kind' in err) return err as Failure
  return { kind: 'machine', message: err instanceof Error ? err.message : String(err) }
}
