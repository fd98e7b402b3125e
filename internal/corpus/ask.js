// Asks lz4js and protobufjs; a question and its answer are JSON. See make.py.
const fs = require('fs')
const lz4 = require('lz4js')
const protobuf = require('protobufjs')

const top = process.argv[2]
const question = JSON.parse(fs.readFileSync(0))
const bytes = text => Buffer.from(text, 'base64')
const takes = work => { try { return work() !== false } catch (e) { return false } }
const answer = {}

if (question.compress) {
  const raw = bytes(question.compress)
  const out = Buffer.alloc(lz4.compressBound(raw.length))
  const n = lz4.compressBlock(raw, out, 0, raw.length, new Uint32Array(1 << 16))
  // lz4js leaves it to its caller to store what it cannot shorten.
  answer.block = (n > 0 ? out.subarray(0, n) : literals(raw)).toString('base64')
}
function literals (raw) {
  const head = raw.length < 15 ? [raw.length << 4] : [0xf0]
  for (let n = raw.length - 15; n >= 0; n -= 255) head.push(Math.min(n, 255))
  return Buffer.concat([Buffer.from(head), raw])
}
if (question.blocks) {
  answer.blocks = question.blocks.map(q => takes(() => {
    const src = bytes(q.block)
    const n = lz4.decompressBlock(src, Buffer.alloc(q.size || 1 << 16), 0, src.length, 0)
    return q.size ? n === q.size : n > 0
  }))
}
if (question.bursts) {
  const root = new protobuf.Root()
  root.resolvePath = (origin, target) => top + '/' + target
  root.loadSync(['burst/pb/stream.proto'])
  const type = root.lookupType('rta.model.net.stream.StreamDataBurst')
  answer.bursts = question.bursts.map(b => takes(() => { type.decode(bytes(b)) }))
}
process.stdout.write(JSON.stringify(answer))
