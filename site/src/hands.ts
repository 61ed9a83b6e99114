// The other workers of a conversion, as the core that leads it sees them: each has an
// instance of its own, reads the files itself and answers with what it made.

import type { Failure, FromHand, Input, ToHand } from './protocol'
import type { Memory, Way } from './reader'

/** What the core calls; wasm/hand.go is the other side. One parcel at a time goes through each. */
export interface Hand {
  do(tasks: string): Promise<string>
  take(at: number, n: number): void
}

/** How many parcels a worker has at a time: while it computes one, the next is read. */
const ahead = 2

interface Answer { text: string, bytes: Uint8Array | undefined }

/** Another worker, at the other end of a port. */
class Remote {
  private pending = new Map<number, { resolve(a: Answer): void, reject(f: Failure): void }>()
  private next = 1
  private dead: Failure | undefined

  constructor(private port: MessagePort) {
    port.onmessage = ({ data }: MessageEvent<FromHand>) => {
      if ('fatal' in data) {
        this.dead = data.fatal
        for (const p of this.pending.values()) p.reject(data.fatal)
        this.pending.clear()
        return
      }
      const p = this.pending.get(data.id)
      this.pending.delete(data.id)
      if ('failure' in data) p?.reject(data.failure)
      else p?.resolve(data)
    }
  }

  send(m: ToHand) { this.port.postMessage(m) }

  call(tasks: string): Promise<Answer> {
    return new Promise((resolve, reject: (f: Failure) => void) => {
      if (this.dead) return reject(this.dead)
      const id = this.next++
      this.pending.set(id, { resolve, reject })
      this.send({ id, tasks })
    })
  }
}

export class Hands {
  private remotes: Remote[] = []

  constructor(private memory: Memory) {}

  /** Takes workers on. */
  add(ports: MessagePort[]) { this.remotes.push(...ports.map(p => new Remote(p))) }

  /** So many of them for a conversion of these files. */
  lend(n: number, files: Input[], way: Way): Hand[] {
    const lent = this.remotes.slice(0, n)
    for (const r of lent) r.send({ files, way })
    return Array.from({ length: ahead }, () => lent.map(r => this.hand(r))).flat()
  }

  private hand(r: Remote): Hand {
    let bytes: Uint8Array | undefined
    return {
      do: async tasks => {
        const a = await r.call(tasks)
        bytes = a.bytes
        return a.text
      },
      take: (at, n) => {
        new Uint8Array(this.memory(), at, n).set(bytes!)
        bytes = undefined
      },
    }
  }
}
