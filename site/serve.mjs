// A plain static server for dist/, for trying the page and for its tests. Any other
// static host does as well: no special headers.
//
//   node serve.mjs [PORT]      port 0 takes a free one

import { createServer } from 'node:http'
import { createReadStream, statSync } from 'node:fs'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'

const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
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
    response.writeHead(200, {
      'Content-Type': types[extname(file)] ?? 'application/octet-stream',
      'Content-Length': found.size,
      'Cache-Control': 'no-cache',
    })
    if (request.method === 'HEAD') response.end()
    else createReadStream(file).pipe(response)
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
