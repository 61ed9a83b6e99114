// How a worker reads files for the core. README.md has the figures behind it.
//
// What is read next is known ahead, so it is streamed into arrays of this worker's own while
// the core computes: small ones, each filled by one read. Where a browser's streams cannot do
// that, slices are read in one of two ways, whichever is faster.

import type { Input, Memory, Reading, Way } from '../shared/messages'

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
export interface Out {
  add(bytes: Uint8Array): void
}

let way: Way = 'slice'

/** What TypeScript's types of the page do not have. */
declare const FileReaderSync: new () => { readAsArrayBuffer(b: Blob): ArrayBuffer }

/** Bytes that are on their way, or here: in a row of arrays. */
interface Span {
  from: number
  to: number
  bytes: Uint8Array[] | undefined
  coming: Promise<Uint8Array[]>
}

export function sourceOf({ name, blob }: Input, memory: Memory): Source {
  const spans: Span[] = []
  const get = (from: number, to: number, use: (b: Uint8Array) => void) => {
    const span = spans.find(s => from >= s.from && to <= s.to)
    if (span?.bytes) return (useParts(span.bytes, from - span.from, to - span.from, use), undefined)
    if (span) return span.coming.then(b => useParts(b, from - span.from, to - span.from, use))
    if (way === 'sync') return (use(now(blob, from, to)), undefined)
    return slice(blob, from, to).then(use)
  }
  return {
    name,
    size: blob.size,
    read: (from, at, n) =>
      get(from, from + n, b => {
        new Uint8Array(memory(), at, b.length).set(b)
        at += b.length
      }),
    pass: (from, to, out) => get(from, to, b => out.add(b)),
    ahead(from, to) {
      if (way === 'sync') return
      const span: Span = { from, to, bytes: undefined, coming: fetchSpan(blob, from, to) }
      span.coming.then(
        b => {
          span.bytes = b
        },
        () => undefined,
      ) // whoever reads it gets the error
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

/** Gives out the bytes from a to z of a row of arrays, array by array. */
function useParts(row: Uint8Array[], a: number, z: number, use: (b: Uint8Array) => void) {
  let at = 0
  for (const b of row) {
    const from = Math.max(a - at, 0),
      to = Math.min(z - at, b.length)
    if (from < to) use(b.subarray(from, to))
    at += b.length
  }
}

const fetchSpan = async (blob: Blob, from: number, to: number) =>
  way === 'stream' ? stream(blob, from, to) : [await slice(blob, from, to)]

/**
 * The size of the arrays that are read into. Each read hands its array to the browser and gets a new
 * one over the same bytes, which Chromium counts as so much memory made: with arrays of a batch it
 * collected ten times as often. Smaller ones cost more reads.
 */
const arraySize = 2 << 20

/** Arrays that were read into and are free, at most those of two batches. */
const spare: ArrayBuffer[] = []
let mostSpare = 0

function keep(row: Uint8Array[]) {
  for (const b of row)
    if (b.buffer.byteLength === arraySize && spare.length < mostSpare) spare.push(b.buffer as ArrayBuffer)
}

/** TypeScript does not know min yet. Where a browser does not either, a read gives less, and is asked again. */
interface Reader {
  read(view: Uint8Array, o: { min: number }): Promise<{ value?: Uint8Array; done: boolean }>
}

/** Chromium's collector takes a reader that only waits, and the read with it: here they are held. */
const reading = new Set<ReadableStreamBYOBReader>()

/** When nothing came for so long, in ms, a stream is given up, and the worker reads in slices from then on. */
const patience = 5_000

/** Streams a part of a file into arrays, each of which goes to the browser and comes back full. */
async function stream(blob: Blob, from: number, to: number): Promise<Uint8Array[]> {
  const row: Uint8Array[] = []
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
      const n = Math.min(arraySize, to - from - got)
      let buffer = spare.pop() ?? new ArrayBuffer(arraySize)
      for (let filled = 0; filled < n;) {
        const read = await Promise.race([
          (reader as unknown as Reader).read(new Uint8Array(buffer, filled, n - filled), { min: n - filled }),
          still,
        ])
        if (!read?.value) {
          way = 'slice'
          return [await slice(blob, from, to)]
        }
        buffer = read.value.buffer as ArrayBuffer
        filled += read.value.length
        got += read.value.length
        if (read.done && filled < n) throw new Error('the file ended')
      }
      row.push(new Uint8Array(buffer, 0, n))
    }
  } finally {
    clearInterval(watch)
    reading.delete(reader)
    if (got < to - from) void reader.cancel().catch(() => undefined)
  }
  return row
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

/**
 * Finds how this browser likes to be read. Streams were the fastest wherever they can fill an array; else the other
 * two are timed.
 */
export async function chooseReading(files: Input[]): Promise<Reading> {
  const largest = files.reduce<Blob>((a, { blob }) => (a.size >= blob.size ? a : blob), new Blob())
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
  mostSpare = 2 * Math.ceil(r.batch / arraySize)
}
