// The page in a real browser, as a user meets it.

import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
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
  openPage,
  perChannel,
  row,
  start,
  textOf,
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
