// The library on somebody else’s site: the demo, its types, every kind of place, and what it leaves behind.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { downloadBy, root } from './browser.mjs'
import { startElsewhere } from './elsewhere.mjs'
import { nativeFolder, shardedFolder } from './inputs.mjs'

let site
before(async () => {
  site = await startElsewhere()
})
after(() => site?.stop())

test('the demo converts under its own policy, as the command does', { timeout: 60000 }, async () => {
  const lines = ['index.html', 'demo.js'].map(name =>
    readFileSync(join(root, 'site/demo', name), 'utf8')
      .trim()
      .split('\n'),
  )
  assert.ok(lines.flat().length <= 30, `the demo has ${lines.flat().length} lines`)
  const { page, problems, requests } = await site.open('/pages/demo/')
  const path = join(root, 'dist/sample-tiny-transformer.safetensors')
  await (await page.$('#files')).uploadFile(path)
  await page.waitForSelector('#save:not([hidden])')
  assert.match(await page.$eval('#said', e => e.value), /^\d+ of \d+ tensors become int4$/)
  assert.equal(await page.$eval('#save', a => a.download), 'sample-tiny-transformer-int4.safetensors')
  const wanted = await site.native(path)
  assert.ok(wanted.equals(await downloadBy(site, page, '#save')), 'the demo makes another file')
  assert.deepEqual(problems, [])
  assert.ok(
    requests.every(url => url.startsWith('blob:') || url.startsWith(site.address)),
    String(requests),
  )
  // What is no model is said, and the next file works.
  await (await page.$('#files')).uploadFile(join(root, 'README.md'))
  await page.waitForFunction(() => document.querySelector('#said').value.includes('README.md'))
  assert.equal(await page.$eval('#save', a => a.hidden), true)
  await page.close()
})

test('the types say what the library takes', () => {
  const folder = join(site.folder, 'typed')
  cpSync(join(root, 'dist/types'), join(folder, 'nibble/types'), { recursive: true })
  cpSync(join(root, 'dist/nibble.d.ts'), join(folder, 'nibble/nibble.d.ts'))
  cpSync(join(root, 'site/demo/demo.js'), join(folder, 'demo.js'))
  const right = `import * as nibble from './nibble/nibble.js'
const model = await nibble.open([new File([], 'a.pt')], { base: '/lib/', workers: 2 })
const { container } = model.offers.defaults
const plan = await model.plan({ config: { global_config: { weight_dtype: 'int4' } }, container })
const target: nibble.Target = { create: async () => new WritableStream<Uint8Array>() }
const files: { name: string; blob?: Blob }[] = await model.convert(plan, target, {
  onProgress: (done: number, total: number) => void (done / total), signal: AbortSignal.timeout(1000),
})
if (!(await model.verify(files)).ok) throw new nibble.NibbleError('machine', model.report!.output.name)
`
  writeFileSync(join(folder, 'package.json'), '{"type": "module"}')
  const compile = (text, resolution = 'bundler', module = 'esnext') => {
    writeFileSync(join(folder, 'use.ts'), text)
    const flags = ['--noEmit', '--strict', '--target', 'es2022', '--module', module, '--moduleResolution', resolution]
    const lib = ['--lib', 'es2022,dom,dom.iterable', '--types', '', '--ignoreConfig']
    return execFileSync(join(root, 'site/node_modules/.bin/tsc'), [...flags, ...lib, 'use.ts'], {
      cwd: folder,
      encoding: 'utf8',
    })
  }
  assert.equal(compile(right), '')
  assert.equal(compile(right, 'nodenext', 'nodenext'), '')
  for (const [from, to] of [
    ["'int4' } }", "'int4' } }, dtyp: 1"],
    ['model.convert(plan, target', 'model.convert(target, plan'],
    ['(done: number', '(done: string'],
    ['.offers.defaults', '.offer.defaults'],
  ]) {
    assert.throws(() => compile(right.replace(from, to)), /Command failed/, `${to} passes`)
  }
})

test('every place gets the command’s bytes, and nothing is left in the page', { timeout: 110000 }, async () => {
  const wanted = await site.native(site.large)
  const { page, problems } = await site.withFiles(site.large)
  const before = await page.evaluate(() => Object.getOwnPropertyNames(window))
  const lengths = await page.evaluate(async () => {
    const nibble = await import('/lib/deep/er/nibble.js')
    const model = await nibble.open(document.querySelector('input').files, { workers: 2 })
    const plan = await model.plan({ global: { dtype: 'int4' } })
    const root = await navigator.storage.getDirectory()
    await root.removeEntry('places', { recursive: true }).catch(() => undefined)
    const places = await root.getDirectoryHandle('places', { create: true })
    const chunks = [],
      steps = []
    const creators = {
      stream: {
        create: (name, bytes) => (
          steps.push([name, bytes]),
          new WritableStream({ write: c => void chunks.push(c), close: () => void steps.push('closed') })
        ),
      },
      writer: {
        create: async () => ({ write: async c => void chunks.push(c), close: async () => void steps.push('closed') }),
      },
    }
    const results = []
    const take = async (what, target) => {
      const shown = []
      const files = await model.convert(plan, target, { onProgress: (done, total) => shown.push(done / total) })
      results.push([what, files.map(f => f.name), shown.at(-1)])
      return files
    }
    const parts = {}
    parts.private = (await take('private', 'private'))[0].blob
    parts.file = (await take('file', await places.getFileHandle('chosen', { create: true })))[0].blob
    parts.directory = (await take('directory', places))[0].blob
    await take('stream', creators.stream)
    parts.stream = new Blob(chunks.splice(0))
    await take('writer', creators.writer)
    parts.writer = new Blob(chunks)
    const sum = async blob => new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer())).join()
    const sums = {}
    for (const [name, blob] of Object.entries(parts)) sums[name] = await sum(blob)
    const verified = await model.verify([{ name: 'x', blob: parts.private }])
    const refused = await model.convert(plan, places).then(
      () => '',
      err => `${err.kind}: ${err.message}`,
    )
    const python = await model.python('x.safetensors')
    const config = await model.config(plan)
    await root.removeEntry('places', { recursive: true })
    model.close()
    return {
      results,
      sums,
      steps,
      refused,
      python,
      config: JSON.parse(config.json),
      ok: verified.ok,
      size: parts.private.size,
    }
  })
  const sum = [...createHash('sha256').update(wanted).digest()].join()
  assert.deepEqual(lengths.sums, { private: sum, file: sum, directory: sum, stream: sum, writer: sum })
  const name = 'large-int4.safetensors'
  assert.deepEqual(lengths.results, [
    ['private', [name], 1],
    ['file', ['chosen'], 1],
    ['directory', [name], 1],
    ['stream', [name], 1],
    ['writer', [name], 1],
  ])
  assert.deepEqual(lengths.steps, [[name, wanted.length], 'closed', 'closed'])
  assert.equal(lengths.refused, `machine: there is a file ${name} already`)
  assert.equal(lengths.ok, true)
  assert.match(lengths.python, /safe_open\("x\.safetensors"/)
  assert.equal(lengths.config.global_config.weight_dtype, 'int4')
  const added = await page.evaluate(before => {
    const names = Object.getOwnPropertyNames(window).filter(name => !before.includes(name))
    // Firefox makes the browser's own globals when they are first used; a new window has them, too.
    const fresh = document.body.appendChild(document.createElement('iframe')).contentWindow
    return names.filter(name => !(name in fresh))
  }, before)
  assert.deepEqual(added, [])
  assert.equal(await page.evaluate(() => document.cookie + localStorage.length + sessionStorage.length), '00')
  assert.deepEqual(problems, [])
  await page.close()
})

test('shards go to a folder, to files of one’s own, and into one zip', { timeout: 60000 }, async () => {
  const folder = shardedFolder(site, 'sharded')
  const wanted = Object.keys(await nativeFolder(site, folder)).sort()
  const { page, problems } = await site.withFiles(...readdirSync(folder).map(name => join(folder, name)))
  const made = await page.evaluate(async () => {
    const nibble = await import('/lib/deep/er/nibble.js')
    const model = await nibble.open(document.querySelector('input').files)
    const plan = await model.plan()
    const root = await navigator.storage.getDirectory()
    await root.removeEntry('shards', { recursive: true }).catch(() => undefined)
    const parent = await root.getDirectoryHandle('shards', { create: true })
    const names = async target => (await model.convert(plan, target)).map(f => f.name).sort()
    const out = { folder: await names(parent), zip: await names('private') }
    out.own = await names({ create: () => ({ write: () => undefined, close: () => undefined }) })
    const again = await names(parent).catch(err => err.message)
    model.close()
    await root.removeEntry('shards', { recursive: true })
    return { ...out, again }
  })
  assert.deepEqual(
    made.folder,
    wanted.map(name => `model-int4/${name}`),
  )
  assert.deepEqual(made.zip, ['model-int4.zip'])
  assert.deepEqual(made.own, wanted)
  assert.match(made.again, /there is a folder model-int4 already, and it is not empty$/)
  assert.deepEqual(problems, [])
  await page.close()
})
