// Calls of the library that are stopped, wait for each other, or go wrong.

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fixture, root } from './browser.mjs'
import { startElsewhere } from './elsewhere.mjs'
import { shardedFolder } from './inputs.mjs'

let site
before(async () => {
  site = await startElsewhere()
})
after(() => site?.stop())

test('what is stopped leaves nothing, and the model goes on', { timeout: 60000 }, async () => {
  const { page, problems } = await site.withFiles(site.large)
  const out = await page.evaluate(async () => {
    const nibble = await import('/lib/deep/er/nibble.js')
    const engine = new nibble.Engine({ base: '/lib/deep/er', workers: 2 })
    const model = await nibble.open(document.querySelector('input').files, { engine })
    const plan = await model.plan()
    const root = await navigator.storage.getDirectory()
    await root.removeEntry('stopped', { recursive: true }).catch(() => undefined)
    const folder = await root.getDirectoryHandle('stopped', { create: true })
    const left = async () => {
      const names = []
      for await (const name of folder.keys()) names.push(name)
      for await (const name of root.keys()) if (name.startsWith('nibble-')) names.push(name)
      return names
    }
    const outcome = promise =>
      promise.then(
        () => 'done',
        err => err.message,
      )
    const stopped = []
    const creator = {
      create: () => ({
        write: () => new Promise(() => undefined),
        close: () => undefined,
        abort: reason => stopped.push(`aborted: ${reason.message}`),
      }),
    }
    // Stopped at once, on the way, and by the end of the engine; into each kind of place.
    for (const target of [folder, 'private', creator]) {
      for (const how of ['at once', 'on the way', 'engine']) {
        const stopping = new AbortController()
        let begun
        const under = new Promise(resolve => (begun = resolve))
        const create = creator.create
        if (target === creator) creator.create = () => (begun(), create())
        const made = outcome(model.convert(plan, target, { signal: stopping.signal, onProgress: begun }))
        if (how !== 'at once') await under
        if (how === 'engine') engine.stop(new Error(how))
        else stopping.abort(new Error(how))
        stopped.push(await made, ...(await left()))
        creator.create = create
      }
    }
    const failing = {
      create: () => ({ write: () => Promise.reject(new Error('the wire is cut')), close: () => undefined }),
    }
    const failed = await outcome(model.convert(plan, failing))
    // What a call needs of the worker is there again, and calls wait for a conversion.
    const converted = model.convert(plan)
    const figures = await model.measure(plan, ['blocks.0.weight'])
    const [file] = await converted
    const python = await model.python('x')
    engine.stop()
    const lost = await outcome(model.python('x'))
    const size = (await file.blob.arrayBuffer()).byteLength // the worker's end does not take it
    await nibble.discard(file.blob)
    await root.removeEntry('stopped', { recursive: true })
    engine.close()
    const closed = await outcome(model.plan())
    return { stopped, failed, size, closed, lost, python: python.length > 100, figures: Object.keys(figures).length }
  })
  assert.deepEqual(out.stopped, [
    ...['at once', 'on the way', 'engine', 'at once', 'on the way', 'engine', 'at once'],
    ...['aborted: on the way', 'on the way', 'aborted: engine', 'engine'],
  ])
  assert.match(out.failed, /the wire is cut/)
  assert.equal(out.size, (await site.native(site.large)).length)
  assert.equal(out.python, true)
  assert.equal(out.lost, 'the worker has no conversion of this model: it was ended, or opened another one')
  assert.equal(out.closed, 'the model was closed')
  assert.deepEqual(problems, [])
  await page.close()
})

test('somebody else’s folder is left alone, however soon a conversion is stopped', { timeout: 60000 }, async () => {
  const folder = shardedFolder(site, 'occupied')
  const { page } = await site.withFiles(...readdirSync(folder).map(name => join(folder, name)))
  const out = await page.evaluate(async () => {
    const nibble = await import('/lib/deep/er/nibble.js')
    const model = await nibble.open(document.querySelector('input').files)
    const plan = await model.plan()
    const root = await navigator.storage.getDirectory()
    await root.removeEntry('theirs', { recursive: true }).catch(() => undefined)
    const parent = await root.getDirectoryHandle('theirs', { create: true })
    const theirs = await parent.getDirectoryHandle('model-int4', { create: true })
    const write = async () =>
      (await (await theirs.getFileHandle('precious', { create: true })).createWritable()).close()
    const names = async () => {
      const all = []
      for await (const name of theirs.keys()) all.push(name)
      return all
    }
    const said = []
    // The folder is empty, and is emptied again and not taken away; then it is not empty.
    for (const how of ['empty', 'full']) {
      for (let wait = 0; wait < 60; wait += 6) {
        const stopping = new AbortController()
        setTimeout(() => stopping.abort(new Error('stopped')), wait)
        await model.convert(plan, parent, { signal: stopping.signal }).catch(err => said.push(err.message))
        if (how === 'empty') for (const name of await names()) await theirs.removeEntry(name)
      }
      if (how === 'empty') await write()
    }
    const left = await names()
    await root.removeEntry('theirs', { recursive: true })
    model.close()
    return { left, said: [...new Set(said)].sort() }
  })
  assert.deepEqual(out.left, ['precious'])
  assert.ok(out.said.every(m => ['stopped', 'there is a folder model-int4 already, and it is not empty'].includes(m)))
  await page.close()
})

test('several models in one worker keep apart', { timeout: 60000 }, async () => {
  const { page, problems } = await site.withFiles(fixture('ptq-in.pt'), fixture('small.safetensors'))
  const out = await page.evaluate(async () => {
    const nibble = await import('/lib/deep/er/nibble.js')
    const [a, b] = document.querySelector('input').files
    const engine = new nibble.Engine()
    const models = await Promise.all([nibble.open([a], { engine }), nibble.open([b], { engine })])
    const options = { allow_none: true }
    const plans = await Promise.all(models.map(m => m.plan({ options, global: { granularity: 'per_channel' } })))
    const eight = await models[0].plan({ options, global: { dtype: 'int8', granularity: 'per_channel' } })
    const [made, , again] = await Promise.all([
      models[0].convert(plans[0]),
      models[1].plan({ options }),
      models[0].measure(eight, ['0.weight']),
    ])
    const name = made[0].name
    const other = await models[1].convert(plans[1])
    engine.close()
    return {
      tensors: plans.map(p => p.report.totals.tensors),
      name,
      other: other[0].name,
      again: Object.keys(again),
      bytes: models[0].report.output.bytes,
      planned: plans[0].report.output.bytes,
    }
  })
  assert.deepEqual(out.tensors, [10, 4])
  assert.equal(out.name, 'ptq-in-int4.safetensors')
  assert.match(out.other, /^small/)
  assert.equal(out.bytes, out.planned)
  assert.deepEqual(out.again, ['0.weight'])
  assert.deepEqual(problems, [])
  await page.close()
})

test('errors have a kind and a code, and parts are chosen', { timeout: 60000 }, async () => {
  const { page } = await site.withFiles(fixture('cases/model_and_model_ema.pth'))
  const said = await page.evaluate(async () => {
    const nibble = await import('/lib/deep/er/nibble.js')
    const input = document.querySelector('input')
    const errorOf = promise =>
      promise.then(
        () => 'none',
        err => `${err.name} ${err.kind} ${err.code}`,
      )
    const none = await errorOf(nibble.open([]))
    const wrong = await errorOf(nibble.open(input.files, { parts: ['nobody'] }))
    const text = await errorOf(nibble.open([new File(['hello'], 'a.txt')]))
    const lost = await errorOf(nibble.open(input.files, { base: '/nowhere/' }))
    const model = await nibble.open(input.files, { parts: ['model_ema'] })
    const config = await errorOf(model.plan({ config: '{"global_config": {"weight_dtype": "int5"}}' }))
    const chosen = model.inspection.parts.filter(p => p.chosen).map(p => p.name)
    const plan = await model.plan({
      config: { global_config: { weight_dtype: 'int8' } },
      options: { allow_none: true },
    })
    model.close()
    return { none, wrong, text, lost, config, chosen, tensors: plan.report.totals.tensors }
  })
  assert.equal(said.none, 'NibbleError machine ')
  assert.equal(said.wrong, 'NibbleError unsupported no_part')
  assert.match(said.text, /^NibbleError (format|unsupported) /)
  assert.match(said.lost, /^NibbleError (internal|machine) /)
  assert.equal(said.config, 'NibbleError unsupported ')
  assert.deepEqual(said.chosen, ['model_ema'])
  assert.ok(said.tensors > 0)
  // Closed models, and those that failed, leave no worker.
  for (let tries = 0; tries < 100 && page.workers().length > 0; tries++) await sleep(50)
  assert.equal(page.workers().length, 0)
  await page.close()
})
