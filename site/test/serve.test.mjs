// The server of ./build.sh serve, and what lies in dist/ for other hosts.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { serve } from '../serve.mjs'
import { root } from './browser.mjs'

const dist = join(root, 'dist')
let server
before(async () => {
  server = await serve(dist, 0)
})
after(() => server?.close())

/** Asks for a file; resolves to the status, the headers and the bytes as they came. */
const ask = (path, headers = {}) =>
  new Promise((resolve, reject) => {
    get({ host: 'localhost', port: server.address().port, path, headers }, response => {
      const chunks = []
      response.on('data', c => chunks.push(c))
      response.on('end', () =>
        resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }),
      )
    }).on('error', reject)
  })

test('files are compressed for those who take that, and are not sent twice', async () => {
  for (const [path, type] of [
    ['/nibble.wasm', 'application/wasm'],
    ['/', 'text/html; charset=utf-8'],
    ['/nibble.js', 'text/javascript; charset=utf-8'],
    ['/NOTICE.txt', 'text/plain; charset=utf-8'],
  ]) {
    const file = readFileSync(join(dist, path === '/' ? 'index.html' : path))
    const plain = await ask(path)
    const small = await ask(path, { 'Accept-Encoding': 'br, gzip' })
    assert.ok(plain.status === 200 && plain.body.equals(file) && plain.headers['content-encoding'] === undefined, path)
    assert.equal(small.headers['content-encoding'], 'gzip')
    assert.ok(small.body.length < 0.6 * file.length && gunzipSync(small.body).equals(file), path)
    for (const answer of [plain, small]) {
      assert.equal(answer.headers['content-type'], type)
      assert.equal(answer.headers.vary, 'Accept-Encoding')
      assert.equal(Number(answer.headers['content-length']), answer.body.length)
    }
    assert.notEqual(plain.headers.etag, small.headers.etag)
    const again = await ask(path, { 'Accept-Encoding': 'gzip', 'If-None-Match': `"x", ${small.headers.etag}` })
    assert.deepEqual([again.status, again.body.length, again.headers.etag], [304, 0, small.headers.etag])
    assert.equal((await ask(path, { 'If-None-Match': small.headers.etag })).status, 200)
  }
  // What gains nothing is sent as it is.
  const model = await ask('/sample-tiny-transformer.safetensors', { 'Accept-Encoding': 'gzip' })
  assert.equal(model.headers['content-encoding'], undefined)
  assert.match(model.headers.etag, /^"\w+-\w+"$/)
})

test('nothing outside the folder is served', async () => {
  for (const path of ['/../go.mod', '/%2e%2e/go.mod', '/nowhere', '/types', '/%']) {
    assert.ok([400, 404].includes((await ask(path)).status), path)
  }
})

test('the licences of all that is in dist are in it', () => {
  const notice = readFileSync(join(dist, 'NOTICE.txt'), 'utf8')
  const { dependencies } = JSON.parse(readFileSync(join(root, 'site/package.json'), 'utf8'))
  for (const [name, version] of Object.entries(dependencies))
    assert.ok(notice.includes(`${name} ${version}\n===`), name)
  const required = readFileSync(join(root, 'go.mod'), 'utf8')
  for (const name of ['github.com/hack-pad/safejs', 'github.com/nlpodyssey/gopickle', 'go.yaml.in/yaml/v4']) {
    const version = new RegExp(`${name} (v\\S+)`).exec(required)[1]
    assert.ok(notice.includes(`${name} ${version}\n===`), name)
  }
  assert.match(notice, /Copyright .* The Go Authors/)
  assert.match(notice, /Apache License\s+Version 2\.0/)
  assert.match(notice, /Copyright \(c\) .*Jason Miller/)
})
