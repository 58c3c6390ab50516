// Cells, positions, files and responses, without a server.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FileRef, KalamCellValue, KalamRow, normalizeQueryResponse, SeqId, sortColumns, wrapRowMap } from '@kalamdb/client';

const cell = (raw) => KalamCellValue.from(raw);

test('SeqId is exact', () => {
  const seq = SeqId.from('9223372036854775807');
  assert.equal(JSON.stringify({ seq }), '{"seq":"9223372036854775807"}');
  assert.ok(seq.equals(SeqId.from(seq.toBigInt())) && seq.compareTo(SeqId.zero()) > 0);
  const made = SeqId.from((1000n << 22n) | (5n << 12n) | 7n);
  assert.deepEqual([made.timestampMillis(), made.workerId(), made.sequence()], [Number(SeqId.EPOCH) + 1000, 5, 7]);
  for (const bad of ['', '1.5', 'x', 1.5, null]) assert.throws(() => SeqId.from(bad), TypeError);
  assert.equal(SeqId.fromWasm(null), undefined);
});

test('cells read right, or give null', () => {
  assert.equal(cell('9007199254740993').asBigInt(), 9007199254740993n);
  assert.equal(cell('-0.50').asDecimal(), '-0.50');
  assert.equal(cell(-62135596800000000).asDate().toISOString(), '0001-01-01T00:00:00.000Z');
  assert.equal(cell(1704067200000).asDate().toISOString(), '2024-01-01T00:00:00.000Z');
  assert.equal(cell('1704067200000').asDate().toISOString(), '2024-01-01T00:00:00.000Z');
  assert.equal(cell(1704067200000000).asDate().toISOString(), '2024-01-01T00:00:00.000Z');
  assert.equal(cell(500000).asDate().toISOString(), '1970-01-01T00:00:00.500Z');
  assert.equal(cell(-1).asDateOnly().toISOString(), '1969-12-31T00:00:00.000Z');
  assert.equal(cell(3723000001).asTimeString(), '01:02:03.000001');
  assert.equal(cell('0195F6A0-7C1E-7000-8000-000000000000').asUuid(), '0195f6a0-7c1e-7000-8000-000000000000');
  assert.deepEqual([cell('true').asBool(), cell('x').asBool(), cell(0).asBool()], [true, null, false]);
  assert.deepEqual([cell('AQI=').asBytes()[1], cell([1, 256]).asBytes()], [2, null]);
  assert.deepEqual([cell('[1,2]').asEmbedding(), cell('{"a":1}').asObject(), cell('[').asArray()], [[1, 2], { a: 1 }, null]);
  for (const read of ['asString', 'asInt', 'asBigInt', 'asFloat', 'asBool', 'asUuid', 'asDecimal', 'asBytes', 'asDate', 'asDateOnly', 'asTimeString', 'asObject', 'asArray', 'asSeqId', 'asFile']) {
    assert.equal(cell(null)[read](), null, read);
  }
  assert.equal(String(cell(undefined)), 'NULL');
});

test('a row of cells can be given its table, as live rows are', () => {
  const cells = wrapRowMap({ id: 7, at: 1704067200000, photo: '{"id":"1","sub":"f0001","name":"a.png","size":1,"mime":"image/png","sha256":""}' });
  const row = new KalamRow(cells, { baseUrl: 'http://localhost', namespace: 'app', table: 'photos' });
  assert.equal(row.file('photo')?.name, 'a.png');
  assert.deepEqual([row.cell('id').asInt(), row.typedData.id.asInt(), row.typedData.at.asDate().getUTCFullYear()], [7, 7, 2024]);
});

test('files and columns', () => {
  assert.equal(FileRef.from({ any: 'object' }), null);
  assert.equal(FileRef.fromJson('{'), null);
  const file = FileRef.from({ id: '1', sub: 'f0001', name: 'a.PDF', size: 1536, mime: 'application/pdf', sha256: '' });
  assert.deepEqual([file.formatSize(), file.getTypeDescription(), file.relativePath()], ['1.5 KB', 'PDF Document', 'f0001/1-a.pdf']);
  const names = {
    'Holiday Photo.JPG': '7-holiday-photo.jpg', 'a__b -- c.tar.gz': '7-a-b-ctar.gz', '../../etc/passwd': '7.bin', '..': '7.bin',
    'Übung.pdf': '7-bung.pdf', 'x.p df': '7-x.bin', 'x.averylongextension': '7-x.bin', '-_ -': '7.bin', 'README': '7-readme.bin',
    'q"\r\nSet-Cookie: a.': '7-qset-cookie-a.bin', [`${'0123456789'.repeat(6)}0.txt`]: `7-${'0123456789'.repeat(5)}.txt`,
  };
  for (const [name, stored] of Object.entries(names)) assert.equal(FileRef.from({ id: '7', sub: 'f0001', name }).storedName(), stored);
  assert.deepEqual(sortColumns(['c', 'a', 'b'], ['b', 'x', 'c']), ['b', 'c', 'a']);
  const sorted = normalizeQueryResponse({ status: 'success', results: [{ row_count: 1, named_rows: [{ a: 1, b: null }] }] }, ['b']);
  assert.deepEqual([sorted.results[0].schema.map((f) => f.name), sorted.results[0].rows], [['b', 'a'], [[null, 1]]]);
});
