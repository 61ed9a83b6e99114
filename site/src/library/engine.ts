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

/** More than any machine feeds: each takes some 80 MB, and a site's mistake must not take all that there is. */
const limitWorkers = 32

/** How long a download that was begun may go on reading a result of an engine that was closed. */
const keepForDownload = 10_000

/** As many as the machine has cores, up to what reading a file can feed. */
export const machineWorkers = () => Math.min(Math.max(navigator.hardwareConcurrency || 2, 1), mostWorkers)

/** One worker with the core, in which one model is open at a time. */
export class Engine {
  /** How many workers convert a large model, besides the one that leads. */
  get workers() {
    return this.poolSize
  }
  set workers(n: number) {
    if (!Number.isInteger(n) || n < 1 || n > limitWorkers) {
      throw new RangeError(`workers is a whole number from 1 to ${limitWorkers}, and ${n} is not`)
    }
    this.poolSize = n
  }
  private poolSize = 1
  /** The language of errors, from the next start of the worker on. */
  language: Language
  /** @internal What the worker has: the open model, its plan, and the model that was converted last. */
  has: { model?: object; plan?: object; converted?: object } = {}
  /** @internal The name of the engine's lock and of its private files. */
  readonly tab = Math.random().toString(36).slice(2) // randomUUID is not there on plain http
  private worker: Worker | undefined
  private ready: Promise<void> | undefined
  private abandon: ((err: unknown) => void) | undefined // of a start that is under way
  private pending = new Map<number, Pending>()
  private next = 1
  private turn: Promise<unknown> = Promise.resolve()
  private running = false // the worker has loaded the core
  private ends = 0 // how often the worker was ended
  private endsBefore = 0 // and how often before the call that is in turn: it does not go on in another worker
  private drops = 0 // how often the calls that waited were dropped
  private closed = false
  private release: () => void = () => undefined
  private readonly base: string
  private readonly crashed: (err: NibbleError) => void

  constructor({ base, workers, language = 'en', onCrash }: EngineOptions = {}) {
    setLanguage(language)
    const own = new URL('.', import.meta.url).href
    this.base = base ? new URL(`${base}`.replace(/\/?$/, '/'), location.href).href : own
    this.workers = workers ?? machineWorkers()
    this.language = language
    this.crashed = onCrash ?? (() => undefined)
    // Held for as long as the engine lives; see private/files.ts.
    const life = new Promise<void>(resolve => (this.release = resolve))
    void navigator.locks?.request(lockName(this.tab), () => life)
    void sweep(this.tab)
  }

  /** Starts the worker, if it is not running; what goes wrong is said when it is called. */
  wake() {
    if (this.closed) return
    this.ready ??= this.start()
    this.ready.catch(() => undefined)
  }

  /** Ends the worker at once. Calls that are under way or wait are rejected; the next call starts anew. */
  stop(err: unknown = new NibbleError('cancelled', words.cancelled)) {
    this.drops++
    this.end(err)
  }

  /** Ends the worker, and what is under way; calls that wait go on in another. */
  private end(err: unknown) {
    this.ends++
    this.running = false
    if (this.worker) {
      this.worker.onerror = this.worker.onmessage = null // one that is still loading fails after its end
      this.worker.terminate() // and its pool with it
    }
    this.abandon?.(err)
    this.worker = this.ready = undefined
    this.has = {}
    for (const p of this.pending.values()) p.reject(err)
    this.pending.clear()
  }

  /**
   * Ends the worker for good, and lets go of results in the browser's private files: once ten seconds have passed,
   * the next engine removes them.
   */
  close() {
    this.closed = true
    this.stop()
    setTimeout(this.release, keepForDownload)
  }

  /** @internal Does something when all before it is done; begin is called then, and may refuse. */
  async inTurn<T>(act: () => Promise<T>, begin?: () => void): Promise<T> {
    const { drops } = this
    const turn = this.turn.then(() => {
      if (this.closed) throw new NibbleError('cancelled', words.closed)
      if (drops !== this.drops) throw new NibbleError('cancelled', words.cancelled)
      begin?.()
      this.endsBefore = this.ends
      return act()
    })
    this.turn = turn.catch(() => undefined)
    return turn
  }

  /**
   * @internal Does something that a signal ends. Before its turn, which begin says, it leaves the queue and nothing
   * else happens; from then on the worker ends with it.
   */
  async stoppable<T>(signal: AbortSignal | undefined, act: (begin: () => void) => Promise<T>): Promise<T> {
    signal?.throwIfAborted()
    let begun = false
    let leave: (reason: unknown) => void = () => undefined
    const left = new Promise<never>((_, reject) => (leave = reject))
    const begin = () => {
      signal?.throwIfAborted()
      begun = true
    }
    const stop = () => {
      if (begun) this.end(new NibbleError('cancelled', words.cancelled))
      else leave(signal?.reason)
    }
    signal?.addEventListener('abort', stop)
    try {
      const made = await Promise.race([act(begin), left])
      signal?.throwIfAborted()
      return made
    } catch (err) {
      throw signal?.aborted ? signal.reason : err
    } finally {
      signal?.removeEventListener('abort', stop)
    }
  }

  /** @internal Calls the worker. */
  async call<C extends CallName>(
    call: C,
    request: Calls[C]['request'],
    { progress, relay }: Partial<Pick<Pending, 'progress' | 'relay'>> = {},
  ): Promise<Calls[C]['answer']> {
    const { ends } = this
    if (ends !== this.endsBefore) throw new NibbleError('cancelled', words.cancelled)
    this.ready ??= this.start()
    await this.ready
    const { worker } = this
    if (!worker || ends !== this.ends) throw new NibbleError('cancelled', words.cancelled)
    return this.post(worker, call, request, progress, relay)
  }

  /** @internal Calls the worker, which runs, and does not wait for the answer: the next in turn may call before. */
  posted<C extends CallName>(call: C, request: Calls[C]['request']): { answer: Promise<Calls[C]['answer']> } {
    if (!this.worker || this.ends !== this.endsBefore) throw new NibbleError('cancelled', words.cancelled)
    return { answer: this.post(this.worker, call, request, undefined, undefined) }
  }

  private post<C extends CallName>(
    worker: Worker,
    call: C,
    request: Calls[C]['request'],
    progress: Pending['progress'],
    relay: Pending['relay'],
  ) {
    const id = this.next++
    return new Promise<Calls[C]['answer']>((resolve, reject) => {
      this.pending.set(id, { resolve: resolve as (a: unknown) => void, reject, progress, relay })
      worker.postMessage({ id, call, request } as Call)
    })
  }

  /** @internal Has the worker start a pool of so many, while something else is done. */
  enlist(n: number) {
    this.worker?.postMessage({ enlist: n })
  }

  private start() {
    setLanguage(this.language)
    return new Promise<void>((resolve, reject) => {
      this.abandon = reject
      const worker = (this.worker = startWorker(this.base, BUILD))
      worker.onerror = e =>
        this.fail(
          this.running
            ? { kind: 'internal', message: e.message || words.stopped }
            : { kind: 'machine', message: e.message ? `${words.start} (${e.message})` : words.start },
        )
      worker.onmessage = ({ data }: MessageEvent<Response>) => {
        if ('loaded' in data) return
        if ('ready' in data) {
          this.running = true
          resolve()
        } else if ('fatal' in data) this.fail(data.fatal)
        else this.receive(data)
      }
      const { base, tab, language } = this
      worker.postMessage({ start: { base, version: BUILD, tab, language } })
    })
  }

  /** A worker that could not start is said to those who called it; one that dies, to the site as well. */
  private fail(f: Fault) {
    const err = errorOf(f)
    const { running } = this
    this.stop(err)
    if (running) this.crashed(err)
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
    if (!('failure' in m)) {
      p.resolve(m.answer)
      return
    }
    p.reject(errorOf(m.failure))
    if (m.failure.kind === 'internal') this.stop() // the core is not to be trusted any more
  }
}

const messageOf = (err: unknown) => (err instanceof Error ? err.message : String(err))
