// The page's side of the worker: starts it when it is first needed, sends calls, and
// ends it to cancel (a busy core cannot be interrupted, and its memory never shrinks).

import { CoreError, errorOf } from '../shared/error'
import type { CallName, Calls, Fault, Response } from '../shared/messages'
import { startWorker } from '../pool/pool'
import { lockName, sweep } from '../private/files'
import { language, text } from '../shared/text'

interface Pending {
  resolve(answer: unknown): void
  reject(err: CoreError): void
  progress: ((done: number, total: number) => void) | undefined
}

/** The build's version, put in by build.mjs, so that no browser mixes two builds. */
declare const BUILD: string

export class Core {
  private worker: Worker | undefined
  private ready: Promise<void> | undefined
  private abandon: ((err: CoreError) => void) | undefined // of a start that is under way
  private pending = new Map<number, Pending>()
  private next = 1
  private readonly tab = Math.random().toString(36).slice(2) // randomUUID is not there on plain http

  /** crashed is called when the worker dies on its own, whether or not a call was pending. */
  constructor(private crashed: (err: CoreError) => void) {
    // Held for as long as the tab lives; see private/files.ts.
    void navigator.locks?.request(lockName(this.tab), () => new Promise(() => undefined))
    void sweep(this.tab)
  }

  /** Starts the worker, if it is not running; what goes wrong is said when it is called. */
  wake() {
    this.ready ??= this.start()
    this.ready.catch(() => undefined)
  }

  async call<C extends CallName>(
    call: C,
    request: Calls[C]['request'],
    progress?: Pending['progress'],
  ): Promise<Calls[C]['answer']> {
    this.ready ??= this.start()
    await this.ready
    const { worker } = this
    if (!worker) throw new CoreError('cancelled', '')
    const id = this.next++
    return new Promise<Calls[C]['answer']>((resolve, reject) => {
      this.pending.set(id, { resolve: resolve as (a: unknown) => void, reject, progress })
      worker.postMessage({ id, call, request })
    })
  }

  /** Ends the worker at once. Pending calls are rejected; the next call starts anew. */
  stop(err = new CoreError('cancelled', '')) {
    this.worker?.terminate() // and its pool with it
    this.abandon?.(err)
    this.worker = this.ready = undefined
    for (const p of this.pending.values()) p.reject(err)
    this.pending.clear()
  }

  /** Has the worker start a pool of so many, while something else is done. */
  async enlist(n: number) {
    await this.ready
    this.worker?.postMessage({ enlist: n })
  }

  private start() {
    return new Promise<void>((resolve, reject) => {
      this.abandon = reject
      const { base } = this.address()
      const worker = (this.worker = startWorker(base, BUILD))
      worker.onerror = e => this.fail({ kind: 'internal', message: e.message || text.errors.start })
      worker.onmessage = ({ data }: MessageEvent<Response>) => {
        if ('loaded' in data) return
        if ('ready' in data) resolve()
        else if ('fatal' in data) this.fail(data.fatal)
        else this.receive(data)
      }
      worker.postMessage({ start: this.address() })
    })
  }

  private fail(f: Fault) {
    const err = errorOf(f)
    this.stop(err)
    this.crashed(err)
  }

  private address() {
    return { base: new URL('.', document.baseURI).href, version: BUILD, tab: this.tab, language }
  }

  private receive(m: Extract<Response, { id: number }>) {
    const p = this.pending.get(m.id)
    if (!p) return
    if ('total' in m) {
      p.progress?.(m.done, m.total)
      return
    }
    this.pending.delete(m.id)
    if ('failure' in m) p.reject(errorOf(m.failure))
    else p.resolve(m.answer)
  }
}
