// What a site does wrong with the library, and what is the site's own: each is said, and nothing else is lost.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { fixture } from './browser.mjs'
import { startElsewhere } from './elsewhere.mjs'

let site
before(async () => {
  site = await startElsewhere()
})
after(() => site?.stop())

test('a signal ends its own call, and one that waits ends nothing else', { timeout: 60000 }, async () => {
  const { page, problems } = await site.withFiles(site.large)
  const out = await page.evaluate(async () => {
    const nibble = await import('/lib/deep/er/nibble.js')
    const model = await nibble.open(document.querySelector('input').files, { workers: 2 })
    const plan = await model.plan()
    const outcome = promise =>
      promise.then(
        made => (Array.isArray(made) ? `${made.length} file` : 'done'),
        err => `${err.name}: ${err.message}`,
      )
    let begun
    const under = new Promise(resolve => (begun = resolve))
    const waiting = new AbortController()
    const stopping = new AbortController()
    const converted = outcome(model.convert(plan, 'private', { onProgress: begun, signal: stopping.signal }))
    const planned = outcome(model.plan({}, { signal: waiting.signal }))
    await under
    waiting.abort(new Error('not wanted any more'))
    const left = [await planned, await Promise.race([converted, 'going on'])]
    // The one that is under way ends, and those that wait have their turn in another worker.
    const next = outcome(model.plan())
    stopping.abort(new Error('stopped'))
    left.push(await converted, await next)
    // A stream whose write never ends keeps nobody waiting.
    const hanging = new AbortController()
    const write = () => (hanging.abort(new Error('hung')), new Promise(() => undefined))
    const create = () => new WritableStream({ write })
    left.push(await outcome(model.convert(plan, { create }, { signal: hanging.signal })))
    left.push(await outcome(model.convert(plan)))
    model.close()
    return left
  })
  assert.deepEqual(out, [
    ...['Error: not wanted any more', 'going on', 'Error: stopped', 'done', 'Error: hung', '1 file'],
  ])
  assert.deepEqual(problems, [])
  await page.close()
})

test('mistakes are said, and cost no worker', { timeout: 60000 }, async () => {
  const { page, problems } = await site.withFiles(fixture('ptq-in.pt'), fixture('small.safetensors'))
  const out = await page.evaluate(async () => {
    const nibble = await import('/lib/deep/er/nibble.js')
    const [a, b] = document.querySelector('input').files
    const engine = new nibble.Engine()
    const model = await nibble.open([a], { engine })
    const options = { allow_none: true }
    const plan = await model.plan({ options })
    const [file] = await model.convert(plan)
    const fails = promise =>
      promise.then(
        () => 'nothing',
        err => `${err.name} ${err.kind}: ${err.message}`,
      )
    const own = new TypeError('the disk of the site is full')
    const thrown = await model.convert(plan, { create: () => Promise.reject(own) }).catch(err => err)
    const said = {
      key: await fails(model.plan({ globl: {} })),
      inner: await fails(model.plan({ global: { weight_dtype: 'int8' } })),
      option: await fails(model.plan({ options: { include_embedding: true } })),
      type: await fails(model.plan({ options: { include_embeddings: 'yes' } })),
      container: await fails(model.plan({ container: 'zip' })),
      plan: await fails(model.convert({ global: {} })),
      target: await fails(model.convert(plan, new WritableStream())),
      nothing: await fails(model.convert(plan, { create: () => undefined })),
      empty: await fails(model.verify([])),
      blob: await fails(model.verify([{ name: 'made' }])),
      list: await fails(nibble.open([{ name: 'made' }], { engine })),
    }
    const csv = await model.reportAs('csv') // the worker is the one that converted
    const other = await nibble.open([b], { engine })
    said.other = await fails(other.convert(plan))
    said.lost = await fails(model.reportAs('csv'))
    const refused = options => {
      try {
        new nibble.Engine(options)
      } catch (err) {
        return err.message
      }
      return 'nothing'
    }
    const language = refused({ language: 'fr' })
    const workers = [0, 33, 1.5, NaN].map(n => refused({ workers: n }))
    // What is offered can be asked for, and a number is a size.
    const { defaults, edit } = model.offers
    const some = await model.plan({ options, global: { ...defaults.global, granularity: 'per_channel' } })
    const sized = await model.plan({ options, global: { group_size: 16 }, edits: [{ module: '0', entry: edit }] })
    const interrupted = fails(model.measure(sized, ['0.weight']))
    const verified = await model.verify([file])
    await interrupted
    engine.close()
    return {
      said,
      csv: csv.length > 100,
      own: thrown === own,
      language,
      workers,
      verified: verified.ok,
      request: sized.request,
      granularity: some.request.global,
    }
  })
  const unsupported = what => `NibbleError unsupported: ${what}`
  assert.equal(out.said.key, unsupported('a recipe has no globl'))
  assert.match(out.said.inner, /^NibbleError unsupported: the request: .*unknown field "weight_dtype"/)
  assert.match(out.said.option, /^NibbleError unsupported: the request: .*unknown field "include_embedding"/)
  assert.match(out.said.type, /^NibbleError unsupported: the request: .*include_embeddings/)
  assert.equal(out.said.container, unsupported('there is no container zip'))
  assert.equal(out.said.plan, unsupported('this is no plan of this model'))
  assert.equal(out.said.other, out.said.plan)
  assert.match(out.said.target, /^NibbleError unsupported: a target is "private"/)
  assert.match(out.said.nothing, /^NibbleError unsupported: create gave nothing/)
  assert.equal(out.said.empty, 'NibbleError machine: there are no files to open')
  assert.equal(out.said.blob, unsupported('a file is {name, blob}, and made has no blob'))
  assert.equal(out.said.list, out.said.blob)
  assert.equal(out.csv, true)
  assert.match(out.said.lost, /^NibbleError unsupported: the worker has no conversion of this model/)
  assert.equal(out.language, 'there are no words in the language fr')
  for (const n of out.workers) assert.match(n, /^workers is a whole number from 1 to 32, and \S+ is not$/)
  assert.equal(out.own, true)
  assert.equal(out.verified, true)
  assert.equal(out.request.global.group_size, '16')
  assert.equal(out.request.edits[0].entry.group_size, '')
  assert.equal(out.granularity.group_size, '')
  assert.deepEqual(problems, [])
  await page.close()
})

test('private files of the site are its own, and a directory has the name that was asked for', async () => {
  const { page } = await site.withFiles(fixture('small.safetensors'))
  const names = await page.evaluate(async () => {
    const nibble = await import('/lib/deep/er/nibble.js')
    const root = await navigator.storage.getDirectory()
    const folder = await root.getDirectoryHandle('nibble-data', { create: true })
    await root.getFileHandle('nibble-settings.json', { create: true })
    await root.getFileHandle('nibble-gone-1700000000000', { create: true }) // as an engine that is gone left it
    const model = await nibble.open(document.querySelector('input').files)
    const plan = await model.plan({ options: { allow_none: true } })
    const [file] = await model.convert(plan, folder, { name: 'nibble-mine.safetensors' })
    const { report } = model
    await model.convert(plan)
    model.close()
    const again = await nibble.open([file]) // which sweeps, and lets the download of the last result go on
    again.close()
    const all = []
    for await (const name of root.keys()) all.push(name.replace(/^nibble-[0-9a-z]+-\d{13}$/, 'a result'))
    for await (const name of folder.keys()) all.push(name)
    for (const name of ['nibble-data', 'nibble-settings.json']) await root.removeEntry(name, { recursive: true })
    return [...all.sort(), report.output.name, file.name]
  })
  assert.deepEqual(names, [
    ...['a result', 'nibble-data', 'nibble-mine.safetensors', 'nibble-settings.json'],
    ...['nibble-mine.safetensors', 'nibble-mine.safetensors'],
  ])
  await page.close()
})
