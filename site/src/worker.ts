// The worker: it loads the Go core, passes calls to it, and gives conversions a place
// to write to. It is started from a blob, so that the page's content security policy
// binds it too; absolute addresses come with the first message.

import { PROTOCOL, type Failure, type Input, type Request, type Response, type Start } from './protocol'
import { chooseReading, sourceOf, type Source } from './reader'
import { openSink, sweep, type Sink } from './sink'
import { speak, text } from './text'

/** What wasm/main.go sets; its twin is wasm/protocol.go. */
interface Core {
  protocol: number
  inspect(files: Source[]): Promise<string>
  plan(request: string): Promise<string>
  measure(names: string): Promise<string>
  convert(name: string, hash: boolean, zip: boolean, sink: Sink, progress: (done: number, total: number) => void): Promise<string>
  report(form: string): Promise<string>
  python(name: string): Promise<string>
  config(): Promise<string>
  verify(output: Source[], progress: (done: number, total: number) => void): Promise<string>
}

interface GoRuntime { importObject: WebAssembly.Imports, run(i: WebAssembly.Instance): Promise<void> }

declare const self: {
  onmessage: ((e: MessageEvent<Start | Request>) => void) | null
  postMessage(m: Response): void
  importScripts(url: string): void
  Go: new () => GoRuntime
  nibble?: Core
  fs: { writeSync(fd: number, b: Uint8Array): number }
}

let core: Core
let tab = ''
/** What is open; a conversion measures how it is best read. */
let inputs: Input[] = []

self.onmessage = e => {
  const m = e.data
  if ('start' in m) start(m.start).catch((err: unknown) => self.postMessage({ fatal: failure(err) }))
  else serve(m).catch((err: unknown) => self.postMessage({ id: m.id, failure: failure(err) }))
}

async function start({ base, version, tab: id, language }: Start['start']) {
  tab = id
  speak(language)
  self.importScripts(`${base}wasm_exec.js?v=${version}`)
  const go = new self.Go()
  const said = captureStderr()
  const instance = await instantiate(`${base}nibble.wasm?v=${version}`, go.importObject)
  // Go sets self.nibble before it first waits; it returns only when it dies.
  go.run(instance).then(() => self.postMessage({ fatal: { kind: 'internal', message: said() || text.errors.stopped } }))
  if (!self.nibble || self.nibble.protocol !== PROTOCOL) {
    throw new Error(text.errors.versions)
  }
  core = self.nibble
  await sweep(tab)
  self.postMessage({ ready: true })
}

/** Streams where the host sends application/wasm, else takes the long way. */
async function instantiate(url: string, imports: WebAssembly.Imports) {
  const response = await fetch(url)
  if (!response.ok) throw new Error(text.errors.core(response.status))
  if (response.headers.get('Content-Type')?.startsWith('application/wasm')) {
    return (await WebAssembly.instantiateStreaming(response, imports)).instance
  }
  return (await WebAssembly.instantiate(await response.arrayBuffer(), imports)).instance
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
      answer = JSON.parse(await core.inspect(inputs.map(sourceOf)))
      break
    case 'plan': answer = JSON.parse(await core.plan(...m.args)); break
    case 'measure': answer = JSON.parse(await core.measure(...m.args)); break
    case 'report': answer = JSON.parse(await core.report(...m.args)); break
    case 'python': answer = JSON.parse(await core.python(...m.args)); break
    case 'config': answer = JSON.parse(await core.config()); break
    case 'verify': answer = JSON.parse(await core.verify(m.args[0].map(sourceOf), progress)); break
    case 'convert': {
      const [name, hash, target] = m.args
      const sink = await openSink(tab, target)
      await chooseReading(inputs)
      try {
        // A sharded result that goes to no folder is one zip.
        const report = await core.convert(name, hash, target.kind === 'private', sink, progress)
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
