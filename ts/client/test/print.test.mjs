// What a console shows of the things that a client gives: values.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { KalamCellValue, KalamRow, SeqId, wrapRowMap } from '@kalamdb/client';

test('cells and rows are shown by their values', () => {
  const row = wrapRowMap({ id: 1, title: 'milk', big: '9007199254740993', done: true, gone: null, list: [1, 2] });
  assert.equal(inspect(row, { breakLength: Infinity }), "{ id: 1, title: 'milk', big: '9007199254740993', done: true, gone: null, list: [ 1, 2 ] }");
  assert.equal(inspect([KalamCellValue.from('x')]), "[ 'x' ]");
  assert.equal(inspect({ deep: { row } }, { breakLength: Infinity }), `{ deep: { row: ${inspect(row, { breakLength: Infinity })} } }`);
  assert.equal(`${row.title}`, 'milk');
  const known = new KalamRow({ id: 1, title: 'milk' }, { baseUrl: 'http://localhost', namespace: 'app', table: 'tasks' });
  assert.equal(inspect(known), "KalamRow { id: 1, title: 'milk' }");
  assert.equal(inspect(SeqId.from('384088653636304897')), 'SeqId(384088653636304897)');
});
