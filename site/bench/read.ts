// Reads a file as the hands of a conversion do, and does nothing with it: what a conversion
// is held against. read.mjs bundles it; it is a worker when it gets a message.

import { chooseReading, readBy, sourceOf } from '../src/reader'

interface Job { file: File, from: number, step: number, parcel: number, tile: number, ahead: number }

const memory = new WebAssembly.Memory({ initial: 64 })

/** Every step-th parcel from the first of this worker on; some are read ahead. */
self.onmessage = ({ data }: MessageEvent<Job>) => {
  readAll(data).then(() => self.postMessage('done'), (err: unknown) => self.postMessage(String(err)))
}

async function readAll({ file, from, step, parcel, tile, ahead }: Job) {
  readBy(await chooseReading([{ name: file.name, blob: file }]))
  const source = sourceOf({ name: file.name, blob: file }, () => memory.buffer as ArrayBuffer)
  const end = (at: number) => Math.min(at + parcel, file.size)
  let next = from
  const queue: number[] = []
  for (;;) {
    while (queue.length < ahead && next < file.size) {
      source.ahead(next, end(next))
      queue.push(next)
      next += step
    }
    const at = queue.shift()
    if (at === undefined) break
    for (let n = at; n < end(at); n += tile) await source.read(n, 65536, Math.min(tile, end(at) - n))
    source.forget(at, end(at))
  }
}
