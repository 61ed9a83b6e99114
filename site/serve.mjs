// A plain static server for dist/, for trying the page and for its tests. Any other
// static host does as well: no special headers.
//
//   node serve.mjs [PORT]      port 0 takes a free one

import { createServer } from 'node:http'
import { createReadStream, readFileSync, statSync } from 'node:fs'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
}

/** What was compressed so far: file and tag -> bytes. */
const compressed = new Map()

/** A file with gzip, once for each of its versions. */
function gzipped(file, tag) {
  const key = `${file} ${tag}`
  if (!compressed.has(key)) compressed.set(key, gzipSync(readFileSync(file)))
  return compressed.get(key)
}

/** Answers with a file: whole, with gzip, or with the word that the browser's copy is still right. */
function answer(request, response, file, { size, mtimeMs }) {
  const type = types[extname(file)]
  const gzip = type !== undefined && /\bgzip\b/.test(request.headers['accept-encoding'] ?? '')
  const tag = `"${size.toString(36)}-${Math.round(mtimeMs).toString(36)}${gzip ? '-gzip' : ''}"`
  const headers = { ETag: tag, 'Cache-Control': 'no-cache', Vary: 'Accept-Encoding' }
  if (request.headers['if-none-match']?.split(/,\s*/).includes(tag)) {
    response.writeHead(304, headers).end()
    return
  }
  const body = gzip ? gzipped(file, tag) : undefined
  response.writeHead(200, {
    ...headers,
    'Content-Type': type ?? 'application/octet-stream',
    'Content-Length': body?.length ?? size,
    ...(gzip ? { 'Content-Encoding': 'gzip' } : {}),
  })
  if (request.method === 'HEAD') response.end()
  else if (body) response.end(body)
  else createReadStream(file).pipe(response)
}

/** Serves a folder on localhost; resolves to the listening server. */
export function serve(folder, port) {
  const server = createServer((request, response) => {
    let path
    try {
      path = normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname))
    } catch {
      response.writeHead(400).end()
      return
    }
    if (path.endsWith('/')) path += 'index.html'
    const file = join(folder, path)
    const found = statSync(file, { throwIfNoEntry: false })
    if (!file.startsWith(normalize(folder)) || !found?.isFile()) {
      response.writeHead(404, { 'Content-Type': 'text/plain' }).end('not found\n')
      return
    }
    answer(request, response, file, found)
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, 'localhost', () => resolve(server))
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const dist = fileURLToPath(new URL('../dist/', import.meta.url))
  serve(dist, Number(process.argv[2] ?? 8080)).then(
    server => console.log(`Nibble is at http://localhost:${server.address().port}/ (Ctrl-C ends it)`),
    err => {
      console.error(
        err.code === 'EADDRINUSE'
          ? `port ${err.port} is taken: try ./build.sh serve --port ${err.port + 1}`
          : err.message,
      )
      process.exit(1)
    },
  )
}
