// How a worker reads files for the core. README.md has the figures behind it.
//
// What is read next is known ahead, so it is streamed into arrays of this worker's own while
// the core computes. Where a browser's streams cannot do that, slices are read in one of two
// ways, whichever is faster.

import type { Input } from './protocol'

/** A file as the core reads it; wasm/blob.go is the other side. Bytes go to places in the core's memory. */
export interface Source {
  name: string
  size: number
  /** Copies n bytes of the file. */
  read(from: number, at: number, n: number): Promise<void> | undefined
  /** Puts bytes of the file out as they are. */
  pass(from: number, to: number, out: Out): Promise<void> | undefined
  /** What is read next, and that it was. */
  ahead(from: number, to: number): void
  forget(from: number, to: number): void
}

/** Takes copies of bytes, one after the other. */
export interface Out { add(bytes: Uint8Array): void }

export type Way = 'stream' | 'slice' | 'sync'

/** How a browser likes to be read, and how much at a time. */
export interface Reading { way: Way, batch: number }

let way: Way = 'slice'

/** What TypeScript's types of the page do not have. */
declare const FileReaderSync: new () => { readAsArrayBuffer(b: Blob): ArrayBuffer }

/** Bytes that are on their way, or here. */
interface Span { from: number, to: number, bytes: Uint8Array | undefined, coming: Promise<Uint8Array> }

/** Where the core's memory is: it moves when it grows. */
export type Memory = () => ArrayBuffer

export function sourceOf({ name, blob }: Input, memory: Memory): Source {
  const spans: Span[] = []
  const get = (from: number, to: number, use: (b: Uint8Array) => void) => {
    const span = spans.find(s => from >= s.from && to <= s.to)
    const part = (b: Uint8Array) => b.subarray(from - span!.from, to - span!.from)
    if (span?.bytes) return use(part(span.bytes)), undefined
    if (span) return span.coming.then(b => use(part(b)))
    if (way === 'sync') return use(now(blob, from, to)), undefined
    return slice(blob, from, to).then(use)
  }
  return {
    name, size: blob.size,
    read: (from, at, n) => get(from, from + n, b => { new Uint8Array(memory(), at, n).set(b) }),
    pass: (from, to, out) => get(from, to, b => out.add(b)),
    ahead(from, to) {
      if (way === 'sync') return
      const span: Span = { from, to, bytes: undefined, coming: fetchSpan(blob, from, to) }
      span.coming.then(b => { span.bytes = b }, () => undefined) // whoever reads it is told
      spans.push(span)
    },
    forget(from, to) {
      const i = spans.findIndex(s => s.from === from && s.to === to)
      if (i < 0) return
      const [span] = spans.splice(i, 1)
      span!.coming.then(keep, () => undefined)
    },
  }
}

const fetchSpan = (blob: Blob, from: number, to: number) => way === 'stream' ? stream(blob, from, to) : slice(blob, from, to)

/** Arrays that were read into and are free. Their size is that of a batch, and a little. */
const spare: ArrayBuffer[] = []
let usual = 0

function keep(b: Uint8Array) {
  if (b.buffer.byteLength === usual && spare.length < 3) spare.push(b.buffer as ArrayBuffer)
}

/** Chromium's collector takes a reader that only waits, and the read with it: here they are held. */
const reading = new Set<ReadableStreamBYOBReader>()

/** When nothing came for so long, in ms, a stream is given up, and the worker reads in slices from then on. */
const patience = 5_000

/** Streams a part of a file into one array, which goes to the browser and comes back with each read. */
async function stream(blob: Blob, from: number, to: number): Promise<Uint8Array> {
  let buffer = to - from <= usual ? spare.pop() ?? new ArrayBuffer(usual) : new ArrayBuffer(to - from)
  const reader = blob.slice(from, to).stream().getReader({ mode: 'byob' })
  reading.add(reader)
  let got = 0
  let stood = -1
  let watch: ReturnType<typeof setInterval> | undefined
  const still = new Promise<undefined>(resolve => {
    watch = setInterval(() => {
      if (got === stood) resolve(undefined)
      stood = got
    }, patience)
  })
  try {
    while (got < to - from) {
      const read = await Promise.race([reader.read(new Uint8Array(buffer, got, to - from - got)), still])
      if (!read?.value) {
        way = 'slice'
        return await slice(blob, from, to)
      }
      buffer = read.value.buffer as ArrayBuffer
      got += read.value.length
      if (read.done && got < to - from) throw new Error('the file ended')
    }
  } finally {
    clearInterval(watch)
    reading.delete(reader)
    if (got < to - from) void reader.cancel().catch(() => undefined)
  }
  return new Uint8Array(buffer, 0, to - from)
}

async function slice(blob: Blob, from: number, to: number) {
  const bytes = new Uint8Array(await blob.slice(from, to).arrayBuffer())
  collectSoon(bytes.length)
  return bytes
}

function now(blob: Blob, from: number, to: number) {
  const bytes = new Uint8Array(new FileReaderSync().readAsArrayBuffer(blob.slice(from, to)))
  collectSoon(bytes.length)
  return bytes
}

/**
 * Buffers that come from files do not count toward the young generation's limit in
 * Chromium, so hundreds of them pile up; one that a script makes does, and takes the others
 * with it when the limit is reached. Its memory is never touched.
 */
function collectSoon(bytes: number) {
  void new ArrayBuffer(bytes)
}

/** By how much reading at once, which hoards, must be faster than slices. */
const clearly = 1.1
/** What is timed: enough for a clock of a millisecond. */
const trial = 16 << 20
const rounds = 3
/** A model that is smaller is read before the measurement would pay. */
const worthIt = 256e6

/** Batches where a slice costs little, and where it costs much whatever its size. */
const batches = [16 << 20, 32 << 20] as const
/** What is much, in ms, and how many slices are timed. */
const costly = 0.03
const cuts = 64

/** Finds how this browser likes to be read. Streams were the fastest wherever they can fill an array; else the other two are timed. */
export async function chooseReading(files: Input[]): Promise<Reading> {
  const largest = files.reduce<Blob>((a, { blob }) => a.size >= blob.size ? a : blob, new Blob())
  const began = performance.now()
  for (let n = 0; n < cuts; n++) largest.slice(n, n + 1)
  const batch = (performance.now() - began) / cuts > costly ? batches[1] : batches[0]
  way = 'stream'
  try {
    await stream(largest, 0, Math.min(largest.size, 1))
    return { way, batch } // the way is slice when it stood still
  } catch {
    return { way: files.reduce((n, f) => n + f.blob.size, 0) < worthIt ? 'slice' : await timed(largest), batch }
  }
}

/** To be read at once needs no Promise, but hoards. */
async function timed(blob: Blob): Promise<Way> {
  let [sliced, atOnce] = [Infinity, Infinity]
  try {
    for (let round = 0; round < rounds; round++) {
      const part = [round * trial, (round + 1) * trial] as const
      const began = performance.now()
      await slice(blob, ...part)
      const between = performance.now()
      now(blob, ...part)
      sliced = Math.min(sliced, between - began)
      atOnce = Math.min(atOnce, performance.now() - between)
    }
  } catch {
    return 'slice' // the conversion will say what is wrong
  }
  return sliced > clearly * atOnce ? 'sync' : 'slice'
}

export function readBy(r: Reading) {
  way = r.way
  usual = r.batch + (1 << 20)
}
