// How the worker reads the files that the page got. The core asks for a range and gives an
// array of its own to put it in, so that no buffer of the browser's outlives the call.
//
// There are two ways to read a slice: as a promise (arrayBuffer), or at once
// (FileReaderSync). In Firefox the second is faster and keeps less memory; in Chromium it
// is no faster and keeps gigabytes. So it is taken where it is faster, which is measured
// before a long conversion. README.md has the figures.

import type { Input } from './protocol'

/** A file as the core reads it; wasm/blob.go is the other side. */
export interface Source {
  name: string
  size: number
  /** Fills an array with the bytes from a place on. */
  read(from: number, into: Uint8Array): Promise<void> | undefined
}

let atOnce = false

/** What TypeScript's types of the page do not have. */
declare const FileReaderSync: new () => { readAsArrayBuffer(b: Blob): ArrayBuffer }

export function sourceOf({ name, blob }: Input): Source {
  return { name, size: blob.size, read: (from, into) => atOnce ? now(blob, from, into) : promised(blob, from, into) }
}

async function promised(blob: Blob, from: number, into: Uint8Array) {
  into.set(new Uint8Array(await blob.slice(from, from + into.length).arrayBuffer()))
  collectSoon(into.length)
}

function now(blob: Blob, from: number, into: Uint8Array) {
  into.set(new Uint8Array(new FileReaderSync().readAsArrayBuffer(blob.slice(from, from + into.length))))
  collectSoon(into.length)
  return undefined
}

/**
 * Buffers that come from files do not count toward the young generation's limit in
 * Chromium, so hundreds of them pile up; one that a script makes does, and takes the others
 * with it when the limit is reached. Its memory is never touched.
 */
function collectSoon(bytes: number) {
  void new ArrayBuffer(bytes)
}

/** By how much reading at once must be faster. */
const clearly = 1.1
/** What is timed: so many slices in a row, for a clock of a millisecond is coarse. */
const trial = 4 << 20
const slices = 4
const rounds = 3
/** A model that is smaller is read before the measurement would pay. */
const worthIt = 256e6

/** Measures both ways on the start of a file, unless the model is small. */
export async function chooseReading(files: Input[]) {
  const largest = files.reduce<Input | undefined>((a, b) => a && a.blob.size >= b.blob.size ? a : b, undefined)
  if (!largest || files.reduce((n, f) => n + f.blob.size, 0) < worthIt) return
  const into = new Uint8Array(trial)
  const best = [Infinity, Infinity] as [number, number]
  try {
    for (let n = 0; n < slices; n++) await promised(largest.blob, n * trial, into) // the first time may come from the disk
    for (let round = 0; round < rounds; round++) {
      for (const [i, read] of [promised, now].entries()) {
        const began = performance.now()
        for (let n = 0; n < slices; n++) await read(largest.blob, n * trial, into)
        best[i as 0 | 1] = Math.min(best[i as 0 | 1], performance.now() - began)
      }
    }
  } catch {
    return // the conversion will say what is wrong
  }
  atOnce = best[0] > clearly * best[1]
}
