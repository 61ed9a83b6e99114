// The other workers of a conversion, as the one that leads it sees them: each has an
// instance of its own, reads the files itself and answers with what it made. They are the
// leading worker's own, so that they end with it, and what passes between them is moved:
// through a port, Firefox would copy it by way of another process.

import type { Address, Fault, FromPool, Input, Memory, Reading, ToPool } from '../shared/messages'
import { words } from '../shared/words'

/** What the core calls; wasm/pool.go is the other side. One batch at a time goes through each. */
export interface PoolWorker {
  do(tasks: string): Promise<string>
  take(at: number, n: number): void
}

/** How many batches a worker has at a time: while it computes one, the next is read. */
const ahead = 2

interface Answer {
  text: string
  bytes: Uint8Array[]
}

/** A worker that is loaded from a URL would not obey the page's policy; one from a blob does. */
export function startWorker(base: string, version: string) {
  const source = new Blob([`importScripts(${JSON.stringify(`${base}worker.js?v=${version}`)})`], {
    type: 'text/javascript',
  })
  const url = URL.createObjectURL(source)
  setTimeout(() => URL.revokeObjectURL(url), 60_000) // it is loaded long before
  return new Worker(url)
}

class Remote {
  private worker: Worker
  private pending = new Map<number, { resolve(a: Answer): void; reject(f: Fault): void }>()
  private next = 1
  dead: Fault | undefined
  /** What waits until the worker is loaded. */
  private waiting: [ToPool, Transferable[]][] | undefined = []

  constructor(address: Address, module: WebAssembly.Module) {
    this.worker = startWorker(address.base, address.version)
    this.worker.onerror = e => this.died({ kind: 'internal', message: e.message || words.stopped })
    this.worker.onmessage = ({ data }: MessageEvent<FromPool>) => {
      if ('loaded' in data) return this.loaded()
      if ('fatal' in data) return this.died(data.fatal)
      const p = this.pending.get(data.id)
      this.pending.delete(data.id)
      if ('failure' in data) p?.reject(data.failure)
      else p?.resolve(data)
    }
    this.send({ join: address, module })
  }

  private died(f: Fault) {
    this.dead = f
    this.worker.terminate()
    for (const p of this.pending.values()) p.reject(f)
    this.pending.clear()
  }

  send(m: ToPool, transfer: Transferable[] = []) {
    if (this.waiting) this.waiting.push([m, transfer])
    else this.worker.postMessage(m, transfer)
  }

  private loaded() {
    const waiting = this.waiting ?? []
    this.waiting = undefined
    for (const [m, transfer] of waiting) this.send(m, transfer)
  }

  /** Arrays whose bytes were taken go back, to be filled again. */
  call(tasks: string, spare: ArrayBuffer[]): Promise<Answer> {
    return new Promise((resolve, reject: (f: Fault) => void) => {
      if (this.dead) return reject(this.dead)
      const id = this.next++
      this.pending.set(id, { resolve, reject })
      this.send({ id, tasks, spare }, spare)
    })
  }
}

export class Pool {
  private remotes: Remote[] = []

  constructor(private memory: Memory) {}

  /**
   * Sees to it that there are so many; they start while something else is done. A browser in which workers have none
   * does without.
   */
  enlist(n: number, address: Address, module: WebAssembly.Module) {
    this.remotes = this.remotes.filter(r => !r.dead)
    while (this.remotes.length < n && typeof Worker === 'function') this.remotes.push(new Remote(address, module))
  }

  /** So many of them for a conversion of these files. */
  lend(n: number, files: Input[], reading: Reading): PoolWorker[] {
    const lent = this.remotes.slice(0, n)
    for (const r of lent) r.send({ files, reading })
    return Array.from({ length: ahead }, () => lent.map(r => this.asPoolWorker(r))).flat()
  }

  private asPoolWorker(r: Remote): PoolWorker {
    let bytes: Uint8Array[] = []
    let spare: ArrayBuffer[] = []
    return {
      do: async tasks => {
        const a = await r.call(tasks, spare.splice(0))
        bytes = a.bytes
        return a.text
      },
      take: (at, n) => {
        const all = new Uint8Array(this.memory(), at, n)
        let from = 0
        for (const b of bytes) {
          all.set(b, from)
          from += b.length
        }
        spare = bytes.map(b => b.buffer as ArrayBuffer)
        bytes = []
      },
    }
  }
}
