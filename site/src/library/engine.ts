// The library's side of the worker: starts it when it is first needed, sends calls, and
// ends it to cancel (a busy core cannot be interrupted, and its memory never shrinks).

import { startWorker } from '../pool/pool'
import { lockName, sweep } from '../private/files'
import { errorOf, NibbleError } from '../shared/error'
import type { Call, CallName, Calls, Fault, RelayStep, Response } from '../shared/messages'
import { setLanguage, words, type Language } from '../shared/words'

export interface EngineOptions {
  /** Where worker.js, wasm_exec.js and nibble.wasm lie; without it beside this file. */
  base?: string | URL
  /** How many workers convert a large model; without it as many as the machine has cores, up to eight. */
  workers?: number
  /** The language of errors; English without it. What the core says of files is English, with a code. */
  language?: Language
  /** Called when the worker dies on its own, whether or not a call was pending. */
  onCrash?(err: NibbleError): void
}

interface Pending {
  resolve(answer: unknown): void
  reject(err: unknown): void
  progress: ((done: number, total: number) => void) | undefined
  relay: ((step: RelayStep) => Promise<void>) | undefined
}

/** The build's version, put in by build.mjs, so that no browser mixes two builds. */
declare const BUILD: string

const mostWorkers = 8

/** As many as the machine has cores, up to what reading a file can feed. */
export const machineWorkers = () => Math.min(Math.max(navigator.hardwareConcurrency || 2, 1), mostWorkers)

/** One worker with the core, in which one model is open at a time. */
export class Engine {
  /** How many workers convert a large model, besides the one that leads. */
  workers: number
  /** The language of errors, from the next start of the worker on. */
  language: Language
  /** A conversion is under way; there is one at a time. */
  converts = false
  /** The model that the worker has open. */
  current: object | undefined
  private worker: Worker | undefined
  private ready: Promise<void> | undefined
  private abandon: ((err: NibbleError) => void) | undefined // of a start that is under way
  private pending = new Map<number, Pending>()
  private next = 1
  private readonly base: string
  private readonly crashed: (err: NibbleError) => void
  private unlock: () => void = () => undefined
  private readonly tab = Math.random().toString(36).slice(2) // randomUUID is not there on plain http

  constructor({ base, workers, language = 'en', onCrash }: EngineOptions = {}) {
    this.base = base ? new URL(`${base}`.replace(/\/?$/, '/'), location.href).href : new URL('.', import.meta.url).href
    this.workers = workers ?? machineWorkers()
    this.language = language
    this.crashed = onCrash ?? (() => undefined)
    // Held for as long as the engine lives; see private/files.ts.
    void navigator.locks?.request(lockName(this.tab), () => new Promise<void>(resolve => (this.unlock = resolve)))
    void sweep(this.tab)
  }

  /** Starts the worker, if it is not running; what goes wrong is said when it is called. */
  wake() {
    this.ready ??= this.start()
    this.ready.catch(() => undefined)
  }

  /** Ends the worker at once. Pending calls are rejected; the next call starts anew. */
  stop(err: unknown = new NibbleError('cancelled', words.cancelled)) {
    this.worker?.terminate() // and its pool with it
    this.abandon?.(err as NibbleError)
    this.worker = this.ready = this.current = undefined
    for (const p of this.pending.values()) p.reject(err)
    this.pending.clear()
  }

  /** Ends the worker, and lets go of what lies in the browser's private files: the next visit removes it. */
  close() {
    this.stop()
    this.unlock()
  }

  /** Calls the worker. */
  async call<C extends CallName>(
    call: C,
    request: Calls[C]['request'],
    { progress, relay }: Partial<Pick<Pending, 'progress' | 'relay'>> = {},
  ): Promise<Calls[C]['answer']> {
    this.ready ??= this.start()
    await this.ready
    const { worker } = this
    if (!worker) throw new NibbleError('cancelled', words.cancelled)
    const id = this.next++
    return new Promise<Calls[C]['answer']>((resolve, reject) => {
      this.pending.set(id, { resolve: resolve as (a: unknown) => void, reject, progress, relay })
      worker.postMessage({ id, call, request } as Call)
    })
  }

  /** Has the worker start a pool of so many, while something else is done. */
  async enlist(n: number) {
    await this.ready
    this.worker?.postMessage({ enlist: n })
  }

  private start() {
    setLanguage(this.language)
    return new Promise<void>((resolve, reject) => {
      this.abandon = reject
      const worker = (this.worker = startWorker(this.base, BUILD))
      worker.onerror = e => this.fail({ kind: 'internal', message: e.message || words.start })
      worker.onmessage = ({ data }: MessageEvent<Response>) => {
        if ('loaded' in data) return
        if ('ready' in data) resolve()
        else if ('fatal' in data) this.fail(data.fatal)
        else this.receive(data)
      }
      const { base, tab, language } = this
      worker.postMessage({ start: { base, version: BUILD, tab, language } })
    })
  }

  private fail(f: Fault) {
    const err = errorOf(f)
    this.stop(err)
    this.crashed(err)
  }

  private receive(m: Extract<Response, { id: number }>) {
    const p = this.pending.get(m.id)
    if (!p) return
    if ('total' in m) {
      p.progress?.(m.done, m.total)
      return
    }
    if ('relay' in m) {
      const { worker } = this
      p.relay?.(m.relay).then(
        () => worker?.postMessage({ relayed: true }),
        (err: unknown) => worker?.postMessage({ relayed: true, failure: { kind: 'machine', message: messageOf(err) } }),
      )
      return
    }
    this.pending.delete(m.id)
    if ('failure' in m) p.reject(errorOf(m.failure))
    else p.resolve(m.answer)
  }
}

const messageOf = (err: unknown) => (err instanceof Error ? err.message : String(err))
