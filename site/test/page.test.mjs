// The page in a real browser, as a user meets it.

import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  choose,
  choosePerChannel,
  convert,
  download,
  drop,
  fixture,
  id,
  kind,
  nibble,
  nibbleError,
  openPage,
  perChannel,
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

const containers = [
  { to: 'packed', extension: 'safetensors', more: [] },
  { to: 'int8', suffix: '-bytes', extension: 'safetensors', more: [] },
  { to: 'int8', suffix: '-bytes', highNibble: 'zero', extension: 'safetensors', more: ['--high-nibble', 'zero'] },
  { to: 'coremltools', extension: 'pt', more: [] },
]

test('the first screen loads nothing heavy', async () => {
  const { page, requests, problems } = await openPage(site)
  const paths = requests.map(r => new URL(r).pathname.split('/').pop())
  assert.ok(paths.includes('app.js'))
  assert.deepEqual(
    paths.filter(p => /wasm|worker|sample/.test(p)),
    [],
  )
  assert.match(await page.evaluate(() => document.body.innerText), /Your weights never leave this machine/)
  assert.deepEqual(problems, [])
  await page.close()
})

for (const file of ['ptq-in.pt', 'ptq-attention-f16.pt', 'small.safetensors']) {
  for (const c of containers) {
    test(`${file} to ${c.to} ${c.highNibble ?? ''}: the same bytes and report as the native command`, async () => {
      const { page, problems } = await openPage(site)
      await choosePerChannel(page, fixture(file))
      await page.select(id('container'), c.to)
      if (c.highNibble) await page.select(id('high-nibble'), c.highNibble)
      await convert(page)
      assert.match(await textOf(page, 'status'), /done$/)
      const name = file.replace(/\.\w+$/, `-int4${c.suffix ?? ''}.${c.extension}`)
      assert.equal(await page.$eval(id('download'), a => a.download), name)
      const got = await download(site, page)
      const report = JSON.parse(await download(site, page, 'report-download'))

      const out = join(site.folder, 'native'),
        native = join(site.folder, 'native.json')
      await nibble(
        'convert',
        fixture(file),
        ...perChannel(site.folder),
        '--to',
        c.to,
        ...c.more,
        '-o',
        out,
        '--report',
        native,
      )
      assert.ok(got.equals(readFileSync(out)), 'the bytes differ')
      const want = JSON.parse(readFileSync(native, 'utf8'))
      want.inputs[0].name = file
      want.output.name = name
      assert.deepEqual(report, want)
      assert.deepEqual(problems, [])
      await page.close()
    })
  }
}

test('the plan is there before any weight is read, and follows the controls', async () => {
  const { page } = await openPage(site)
  await choose(page, fixture('ptq-in.pt'))
  // 32 inputs are one block of 32; coremltools keeps such a layer, and so does Nibble where it is small.
  assert.match(await row(page, '0.weight'), /^keep: .*8 × 32 F16.*Linear.*coremltools keeps it/)
  assert.match(
    await row(page, '0.weight'),
    /\(a block of 32 is not smaller than its 32 input channels\), and so does Nibble/,
  )
  assert.match(
    await textOf(page, 'nothing'),
    /^Nothing would be quantized\. Most of the model is kept: .*rows not longer than a block/,
  )
  assert.match(await textOf(page, 'nothing'), / To try: a smaller block size, or one scale per channel\.$/)
  assert.equal(await page.$eval(id('convert'), b => b.disabled), true)
  assert.equal(await page.$(id('error')), null)
  await page.$eval(id('block-size'), e => {
    e.value = '8'
    e.dispatchEvent(new Event('input', { bubbles: true }))
  })
  await page.waitForSelector('tr[data-name="0.weight"][data-verdict="quantize"]')
  assert.match(await row(page, '0.weight'), /int4 block 8.*512 B → 192 B/)
  assert.match(await row(page, 'attn.in_proj_weight'), /MultiheadAttention/)
  assert.match(await row(page, '0.bias'), /^keep: .*bias/)
  await page.select(id('quantization-scheme'), 'affine')
  await page.select(id('weight-dtype'), 'uint8')
  await page.waitForFunction(() => document.querySelector('tr[data-name="0.weight"]').innerText.includes('uint8'))
  assert.match(await row(page, '0.weight'), /uint8 block 8, affine/)

  // A config takes the place of the controls; a wrong one says so and the page goes on.
  const config = text =>
    page.$eval(
      id('config-input'),
      (e, t) => {
        e.value = t
        e.dispatchEvent(new Event('input', { bubbles: true }))
      },
      text,
    )
  await config('{"global_config": {"weight_dtype": "int5"}}')
  await waitForText(page, 'error', 'weight_dtype is "int5"; did you mean "int4"?')
  assert.equal(await page.$eval(id('convert'), b => b.disabled), true)
  assert.ok(await page.$('tr[data-name="0.weight"]'), 'a refused recipe took the table away')
  await config('')
  await page.$eval(id('block-size'), e => {
    e.value = 'abc'
    e.dispatchEvent(new Event('input', { bubbles: true }))
  })
  await page.select(id('granularity'), 'per_block')
  await waitForText(page, 'error', 'block_size is "abc", not an integer')
  await config('{"module_name_configs": {"attn": {"weight_dtype": "int8"}}}')
  await page.waitForSelector('tr[data-name="0.weight"][data-verdict="keep"]')
  assert.match(await row(page, 'attn.in_proj_weight'), /^quantize: .*int8 per channel/)
  assert.match(await row(page, '0.weight'), /^keep: .*no rule of the recipe names it/)
  assert.equal(await page.$(id('error')), null)
  await page.close()
})

test('the sample converts, verifies and says what it cost', async () => {
  const { page, problems } = await openPage(site)
  await page.click(id('sample'))
  await page.waitForSelector(`${id('convert')}:not(:disabled)`)
  await convert(page)
  assert.match(await page.$eval('tr[data-name="lm_head.weight"]', e => e.innerText), /\d+\.\d dB/)
  await page.click(id('verify'))
  await waitForText(
    page,
    'verification',
    'Verified: 29 quantized weights recomputed, every number the same; 10 kept byte for byte.',
  )
  for (const width of [1280, 900, 640, 390, 320]) {
    await page.setViewport({ width, height: 800 })
    const wide = await page.evaluate(() =>
      [...document.querySelectorAll('.page *:not(option)')]
        .filter(e => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 0.5 && !e.closest('.fine'))
        .map(e => e.outerHTML.slice(0, 80)),
    )
    assert.deepEqual(wide, [], `at ${width} pixels something sticks out`)
  }
  assert.deepEqual(problems, [])
  await page.close()
})

test('a file is dropped anywhere, and two are converted in a row', async () => {
  const { page } = await openPage(site)
  const model = readFileSync(fixture('ptq-in.pt'))
  await drop(page, 'first.pt', model)
  await page.waitForSelector(id('nothing'))
  await page.select(id('granularity'), 'per_tensor')
  await page.waitForSelector('tr[data-name="0.weight"][data-verdict="quantize"]')
  await convert(page)
  const first = await download(site, page)
  await convert(page) // again: the same bytes
  assert.ok((await download(site, page)).equals(first))
  await drop(page, 'second.pt', model)
  await page.waitForFunction(() => document.querySelector('h2')?.textContent === 'second.pt')
  await page.waitForSelector(`${id('convert')}:not(:disabled)`)
  await convert(page)
  assert.equal(await page.$eval(id('download'), a => a.download), 'second-int4.safetensors')
  assert.ok((await download(site, page)).equals(first))
  await drop(page, 'config.json', Buffer.from('{"global_config": {"weight_dtype": "uint8"}}'))
  await page.waitForFunction(() => document.querySelector('tr[data-name="0.weight"]')?.innerText.includes('uint8'))
  await page.close()
})

test('a folder with one model, and what is left behind of a checkpoint', { timeout: 60000 }, async () => {
  const { page } = await openPage(site)
  const folder = mkdtempSync(join(site.folder, 'folder-'))
  copyFileSync(fixture('ptq-in.pt'), join(folder, 'model.pt'))
  writeFileSync(join(folder, 'config.json'), '{}')
  const pick = async files => (await page.waitForSelector(id('folder-input'))).uploadFile(...files)
  // Firefox's driver gives a folder as its files.
  await pick(kind === 'firefox' ? [join(folder, 'model.pt'), join(folder, 'config.json')] : [folder])
  await page.waitForSelector('tr[data-name="0.weight"]')
  assert.equal(await page.$eval('h2', e => e.textContent), 'model.pt')
  // Nothing was left behind: the rest of the file is the zip around the tensors.
  assert.doesNotMatch(await page.$eval('.picture', e => e.innerText), /left out: other parts/)
  await choose(page, fixture('wrapped-model.ckpt'))
  await page.waitForFunction(() => /left out: other parts/.test(document.querySelector('.picture')?.innerText))
  assert.match(
    await page.$eval('.picture', e => e.innerText),
    /epoch \(an integer\) is not part of the state dict and is left out/,
  )
  await page.close()
})

test('the last file chosen is the one that is open, however slow the others were', async () => {
  const many = join(site.folder, 'many.safetensors')
  const header = {}
  for (let i = 0; i < 20000; i++) header[`slow.${i}.weight`] = { dtype: 'U8', shape: [1], data_offsets: [i, i + 1] }
  const text = Buffer.from(JSON.stringify(header)),
    size = Buffer.alloc(8)
  size.writeBigUInt64LE(BigInt(text.length))
  writeFileSync(many, Buffer.concat([size, text, Buffer.alloc(20000)]))
  const { page } = await openPage(site)
  await choose(page, fixture('ptq-in.pt'))
  for (const path of [many, fixture('ptq-in.pt'), many, fixture('small.safetensors')]) {
    await (await page.waitForSelector(id('file-input'))).uploadFile(path)
    await new Promise(resolve => setTimeout(resolve, 60))
  }
  await page.waitForSelector('tr[data-name="a.weight"]')
  await new Promise(resolve => setTimeout(resolve, 1500))
  await page.select(id('granularity'), 'per_channel')
  await page.waitForSelector(`${id('convert')}:not(:disabled)`)
  assert.equal(await page.$eval('h2', e => e.textContent), 'small.safetensors')
  assert.equal((await page.$$(`${id('tensor-table')} tbody tr`)).length, 4)
  await page.close()
})

test('a fingerprint is asked for, and changes nothing else', async () => {
  const { page } = await openPage(site)
  await choosePerChannel(page, fixture('small.safetensors'))
  await page.click(id('hash'))
  await convert(page)
  const report = JSON.parse(await download(site, page, 'report-download'))
  const { createHash } = await import('node:crypto')
  const sum = bytes => createHash('sha256').update(bytes).digest('hex')
  assert.equal(report.inputs[0].sha256, sum(readFileSync(fixture('small.safetensors'))))
  assert.equal(report.output.sha256, sum(await download(site, page)))
  await page.click(id('hash'))
  assert.ok(await page.$(id('download')), 'the switch threw the result away')
  await page.close()
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
