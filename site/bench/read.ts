// Reads a file as the pool of a conversion does, and does nothing with it: what a conversion
// is held against. read.mjs bundles it; it is a worker when it gets a message.

import { chooseReading, readBy, sourceOf } from '../src/worker/reader'

interface Job {
  file: File
  worker: number
  workers: number
  tile: number
  ahead: number
}

const memory = new WebAssembly.Memory({ initial: 64 })

/** This worker's share of the batches; some are read ahead. */
self.onmessage = ({ data }: MessageEvent<Job>) => {
  readAll(data).then(
    () => self.postMessage('done'),
    (err: unknown) => self.postMessage(String(err)),
  )
}

async function readAll({ file, worker, workers, tile, ahead }: Job) {
  const reading = await chooseReading([{ name: file.name, blob: file }])
  readBy(reading)
  const { batch } = reading
  const source = sourceOf({ name: file.name, blob: file }, () => memory.buffer as ArrayBuffer)
  const end = (at: number) => Math.min(at + batch, file.size)
  let next = worker * batch
  const queue: number[] = []
  for (;;) {
    while (queue.length < ahead && next < file.size) {
      source.ahead(next, end(next))
      queue.push(next)
      next += workers * batch
    }
    const at = queue.shift()
    if (at === undefined) break
    for (let n = at; n < end(at); n += tile) await source.read(n, 65536, Math.min(tile, end(at) - n))
    source.forget(at, end(at))
  }
}
