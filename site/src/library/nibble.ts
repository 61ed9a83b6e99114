/**
 * Nibble as a library for sites: a model in, a 4-bit one out, in the tab. docs/library.md is the manual.
 *
 *     import * as nibble from './nibble.js'
 *     const model = await nibble.open(files)
 *     const plan = await model.plan(recipe)
 *     const [file] = await model.convert(plan, 'private', { onProgress, signal })
 */

import { NibbleError } from '../shared/error'
import type { Input } from '../shared/messages'
import { words } from '../shared/words'
import { Engine, type EngineOptions } from './engine'
import { Model, needBlobs } from './model'

export { discard } from '../private/files'
export { NibbleError } from '../shared/error'
export type { Fault, Input, Output } from '../shared/messages'
export type * from '../shared/protocol'
export type { Language } from '../shared/words'
export { Engine, machineWorkers, type EngineOptions } from './engine'
export type { CallOptions, ConvertOptions, Model, Plan } from './model'
export type { Entry, Recipe } from './recipe'
export type { Creator, Target, Writable } from './target'

/** What open is given: what an engine is, or the engine itself. */
export interface OpenOptions extends EngineOptions {
  /** Of a file that holds several models, the ones that are meant. */
  parts?: readonly string[]
  /** Where to open it, for sites that open one model after another; without it in a worker of its own. */
  engine?: Engine
  /** Ends the opening, and the worker with it. */
  signal?: AbortSignal
}

/** Opens the one model among files. In a worker of its own, model.close() ends that. */
export async function open(files: Iterable<File | Input>, options: OpenOptions = {}): Promise<Model> {
  const engine = options.engine ?? new Engine(options)
  try {
    const inputs = Array.from(files, f => (f instanceof Blob ? { name: f.webkitRelativePath || f.name, blob: f } : f))
    if (inputs.length === 0) throw new NibbleError('machine', words.none)
    needBlobs(inputs)
    return await engine.stoppable(options.signal, begin =>
      Model.open(engine, inputs, options.parts ?? [], options.engine === undefined, begin),
    )
  } catch (err) {
    if (!options.engine) engine.close()
    throw err
  }
}
