// What goes wrong on the page: files that are no models, weights that are no numbers, addresses that must not be
// reached.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  choose,
  convert,
  download,
  drop,
  fixture,
  id,
  kind,
  nibble,
  nibbleError,
  openPage,
  row,
  start,
  textOf,
  waitForRow,
  waitForText,
} from './browser.mjs'

let site
before(async () => {
  site = await start()
})
after(async () => {
  await site?.stop()
})

test('broken and foreign files say what the command says, and the page goes on', async () => {
  const { page } = await openPage(site)
  const model = readFileSync(fixture('ptq-in.pt')),
    tensors = readFileSync(fixture('small.safetensors'))
  const files = {
    'cut.pt': model.subarray(0, 3000),
    'cut.safetensors': tensors.subarray(0, 200),
    'empty.pt': Buffer.alloc(0),
    'words.bin': Buffer.from('these are words, not weights'),
    'model.gguf': Buffer.from('GGUF\x03\0\0\0'),
    'page.pt': Buffer.from('<!DOCTYPE html><title>Sign in</title>'),
  }
  for (const [name, bytes] of Object.entries(files)) {
    const path = join(site.folder, name)
    writeFileSync(path, bytes)
    await (await page.waitForSelector(id('file-input'))).uploadFile(path)
    await waitForText(page, 'error', name)
    assert.equal(await textOf(page, 'error'), (await nibbleError('inspect', path)).replace(path, name))
  }
  await choose(page, fixture('ptq-in.pt'))
  assert.equal(await page.$(id('error')), null)
  // A slip does not cost what is open, nor the edits.
  await page.click('tr[data-name="0.weight"] .name')
  await page.click(id('edit-apply'))
  await waitForRow(page, '0.weight', 'int8 per channel by hand')
  await drop(page, 'words.bin', files['words.bin'])
  await waitForText(page, 'error', 'words.bin: this is not a model file')
  await page.waitForSelector(`${id('convert')}:not(:disabled)`)
  assert.equal(await page.$eval('h2', e => e.textContent), 'ptq-in.pt')
  assert.match(await row(page, '0.weight'), /int8 per channel by hand/)
  await convert(page)
  assert.equal(await page.$(id('error')), null)
  await page.close()
})

test('a weight that is not a number stops the conversion by name, and leaves no result', async () => {
  const { page } = await openPage(site)
  const path = join(site.folder, 'nan.safetensors')
  const header = Buffer.from(JSON.stringify({ 'fc.weight': { dtype: 'F32', shape: [2, 64], data_offsets: [0, 512] } }))
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(BigInt(header.length))
  writeFileSync(path, Buffer.concat([size, header, Buffer.from(new Float32Array(128).fill(NaN).buffer)]))
  await choose(page, path)
  await page.click(id('convert'))
  await waitForText(
    page,
    'error',
    'nan.safetensors: tensor "fc.weight": its weights hold a value that is not a number (NaN)',
  )
  assert.equal(await page.$(id('download')), null)
  assert.equal(await page.$eval(id('convert'), b => b.disabled), false)
  await page.close()
})

test('neither the page nor its worker can reach another origin', async () => {
  const hits = []
  const outside = createServer((request, response) => {
    hits.push(request.url)
    response.writeHead(200, { 'Access-Control-Allow-Origin': '*' }).end('hello')
  })
  await new Promise(resolve => outside.listen(0, 'localhost', resolve))
  const url = `http://localhost:${outside.address().port}/`
  const { page } = await openPage(site)
  await choose(page, fixture('ptq-in.pt'))
  const attempt = async u => {
    const tries = {
      fetch: () => fetch(u + 'fetch').then(() => 'sent'),
      post: () => fetch(u + 'post', { method: 'POST', mode: 'no-cors', body: 'weights' }).then(() => 'sent'),
      xhr: () =>
        new Promise((resolve, reject) => {
          const x = new XMLHttpRequest()
          x.onload = () => resolve('sent')
          x.onerror = reject
          x.open('GET', u + 'xhr')
          x.send()
        }),
      script: () =>
        new Promise((resolve, reject) => {
          if (typeof document === 'undefined') {
            importScripts(u + 'script')
            resolve('sent')
            return
          }
          const s = document.createElement('script')
          s.src = u + 'script'
          s.onload = () => resolve('sent')
          s.onerror = reject
          document.head.append(s)
        }),
      image: () =>
        new Promise((resolve, reject) => {
          if (typeof document === 'undefined') {
            reject(new Error('no images here'))
            return
          }
          const i = new Image()
          i.onload = () => resolve('sent')
          i.onerror = reject
          i.src = u + 'image'
        }),
      beacon: async () => {
        navigator.sendBeacon?.(u + 'beacon', 'weights')
      }, // answers true even when it is blocked
    }
    const sent = []
    for (const [name, go] of Object.entries(tries)) if ((await go().catch(() => '')) === 'sent') sent.push(name)
    return sent
  }
  assert.deepEqual(await page.evaluate(attempt, url), [])
  if (kind === 'firefox') {
    // Its driver cannot run code in the page's own worker; one started the same way can.
    assert.deepEqual(
      await page.evaluate(
        (code, u) =>
          new Promise((resolve, reject) => {
            const w = new Worker(URL.createObjectURL(new Blob([`(${code})(${JSON.stringify(u)}).then(postMessage)`])))
            w.onmessage = e => resolve(e.data)
            w.onerror = reject
          }),
        attempt.toString(),
        url,
      ),
      [],
    )
  } else {
    const [worker] = page.workers()
    assert.ok(worker.url().startsWith('blob:'), worker.url())
    assert.deepEqual(await worker.evaluate(attempt, url), [])
  }
  await new Promise(resolve => setTimeout(resolve, 300))
  assert.deepEqual(hits, [])
  outside.close()
  await page.close()
})

// Firefox's driver cannot reach into a worker to kill it.
if (kind !== 'firefox')
  test('a core that dies is said, and the page starts again', async () => {
    const { page } = await openPage(site)
    await choose(page, fixture('ptq-in.pt'))
    const [worker] = page.workers()
    // A task of no tensor panics in Go; the panic is an error message. So is a call without its request.
    const said = await worker.evaluate(() =>
      self.nibble.work({ data: '[{"Tiles":[{"Row":0,"Rows":1}]}]', out: {} }).then(
        () => '',
        err => `${err.kind}: ${err.message}`,
      ),
    )
    assert.match(said, /^internal: .*nil pointer/)
    assert.match(
      await worker.evaluate(() =>
        self.nibble.plan().then(
          () => '',
          err => `${err.kind}: ${err.message}`,
        ),
      ),
      /^internal: the request/,
    )
    await worker.evaluate(() => {
      self.nibble.stop()
    })
    await waitForText(page, 'error', 'Nibble stopped on an error of its own')
    await choose(page, fixture('small.safetensors'))
    assert.equal(await page.$(id('error')), null)
    await page.close()
  })
