package sqlite

import (
	"bytes"
	"context"
	"encoding/binary"

	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// What SQLite deletes stays readable in the file: in pages that are free, and in
// the free parts of pages in use, where moved rows leave copies too. Scrub walks
// over all pages and writes zeros there. The layout of pages is that of
// https://www.sqlite.org/fileformat2.html, sections 1.5 to 1.6.2.

// scrubPages is how many pages a step looks at: writers wait for no more.
const scrubPages = 512

var (
	pageNo    = wire.Type{Kind: wire.BigInt}
	content   = wire.Type{Kind: wire.Bytes}
	readPages = &store.Stmt{
		SQL:  "SELECT pgno, data FROM sqlite_dbpage WHERE pgno >= $1 AND pgno < $2",
		Args: []wire.Type{pageNo, pageNo}, Cols: []wire.Type{pageNo, content},
	}
	readPage  = &store.Stmt{SQL: "SELECT data FROM sqlite_dbpage WHERE pgno = $1", Args: []wire.Type{pageNo}, Cols: []wire.Type{content}}
	writePage = &store.Stmt{SQL: "UPDATE sqlite_dbpage SET data = $2 WHERE pgno = $1", Args: []wire.Type{pageNo, content}}
	pageCount = &store.Stmt{SQL: "PRAGMA page_count", Cols: []wire.Type{pageNo}}
)

// Scrub overwrites what was deleted, and moves the log to the data file. Pages
// that the log still holds are gone when it begins anew, at the latest when the
// database is closed.
func (d *Driver) Scrub(ctx context.Context) error {
	for first, more := int64(1), true; more; first += scrubPages {
		session, err := d.Begin(ctx, store.Writing, "")
		if err != nil {
			return err
		}
		more, err = scrub(session.(*conn), first)
		if end := session.End(err == nil); err == nil {
			err = end
		}
		if err != nil {
			return err
		}
	}
	return d.Flush(ctx)
}

// scrub does the step that begins with page first, and reports whether there
// are more.
func scrub(c *conn, first int64) (more bool, err error) {
	count := int64(0)
	err = c.Query(pageCount, nil, func(row []wire.Value) error {
		count = row[0].Int()
		return nil
	})
	if err != nil || first > count {
		return false, err
	}
	free, err := freePages(c)
	if err != nil {
		return false, err
	}
	clean := make(map[int64][]byte)
	var chains []chain
	err = c.Query(readPages, []wire.Value{wire.IntValue(first), wire.IntValue(first + scrubPages)}, func(row []wire.Value) error {
		n, page := row[0].Int(), row[1].Bytes()
		if n == lockPage(len(page)) {
			return nil
		}
		zeroed := bytes.Clone(page)
		if used, ok := free[n]; ok {
			clear(zeroed[used:])
		} else {
			zeroUnused(zeroed, n == 1)
			chains = appendChains(chains, page, n == 1)
		}
		if !bytes.Equal(page, zeroed) {
			clean[n] = zeroed
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	for _, at := range chains {
		n, page, err := at.tail(c)
		if err != nil {
			return false, err
		}
		if page != nil {
			clean[n] = page
		}
	}
	for n, page := range clean {
		if _, err := c.Exec(writePage, []wire.Value{wire.IntValue(n), wire.BytesValue(page)}); err != nil {
			return false, err
		}
	}
	return true, nil
}

// lockPage is the page that SQLite never uses.
func lockPage(pageSize int) int64 { return 1<<30/int64(pageSize) + 1 }

func pageOf(c *conn, n int64) (data []byte, err error) {
	err = c.Query(readPage, []wire.Value{wire.IntValue(n)}, func(row []wire.Value) error {
		data = bytes.Clone(row[0].Bytes())
		return nil
	})
	return data, err
}

// freePages are the pages of the free list, with how many of their first bytes
// are in use: none, or the list's own entries.
func freePages(c *conn) (map[int64]int, error) {
	free := make(map[int64]int)
	head, err := pageOf(c, 1)
	if err != nil || len(head) < 100 {
		return nil, err
	}
	for trunk := int64(binary.BigEndian.Uint32(head[32:])); trunk != 0; {
		data, err := pageOf(c, trunk)
		if err != nil || len(data) < 8 {
			return free, err
		}
		entries := int(binary.BigEndian.Uint32(data[4:]))
		free[trunk] = min(8+4*entries, len(data))
		for i := range min(entries, len(data)/4-2) {
			free[int64(binary.BigEndian.Uint32(data[8+4*i:]))] = 0
		}
		trunk = int64(binary.BigEndian.Uint32(data))
		if _, seen := free[trunk]; seen {
			break // a damaged list
		}
	}
	return free, nil
}

// zeroUnused zeroes the parts of a page of a b-tree that hold nothing: the gap
// between its header and its cells, and the free blocks among them. Other pages
// begin with the number of another page, which is never that large.
func zeroUnused(page []byte, first bool) {
	head := page
	at := 0
	if first {
		at = 100
		head = page[at:]
	}
	size := map[byte]int{2: 12, 5: 12, 10: 8, 13: 8}[head[0]]
	if size == 0 {
		return
	}
	cells := int(binary.BigEndian.Uint16(head[3:]))
	begin := int(binary.BigEndian.Uint16(head[5:]))
	if begin == 0 {
		begin = 1 << 16
	}
	if end := at + size + 2*cells; end <= begin && begin <= len(page) {
		clear(page[end:begin])
	}
	for block := int(binary.BigEndian.Uint16(head[1:])); block >= begin && block+4 <= len(page); {
		next, length := int(binary.BigEndian.Uint16(page[block:])), int(binary.BigEndian.Uint16(page[block+2:]))
		if length < 4 || block+length > len(page) || next != 0 && next <= block {
			return
		}
		clear(page[block+4 : block+length])
		block = next
	}
}

// chain is the rest of a large row: pages that begin with the number of the next
// one.
type chain struct {
	page int64
	left int // bytes
}

// appendChains finds the chains that the cells of a page begin. The formulas are
// those of section 1.6.
func appendChains(list []chain, page []byte, first bool) []chain {
	at := 0
	if first {
		at = 100
	}
	kind := page[at]
	size := map[byte]int{2: 12, 10: 8, 13: 8}[kind]
	if size == 0 {
		return list
	}
	u := len(page)
	least, most := (u-12)*32/255-23, u-35
	if kind != 13 {
		most = (u-12)*64/255 - 23
	}
	for i := range int(binary.BigEndian.Uint16(page[at+3:])) {
		entry := at + size + 2*i
		if entry+2 > u {
			break
		}
		cell := int(binary.BigEndian.Uint16(page[entry:]))
		if kind == 2 {
			cell += 4 // the page to the left
		}
		total, n := varint(page, cell)
		cell += n
		if kind == 13 {
			_, n = varint(page, cell) // the rowid
			cell += n
		}
		if total <= uint64(most) {
			continue
		}
		local := least + (int(total)-least)%(u-4)
		if local > most {
			local = least
		}
		if cell+local+4 > u {
			continue // no cell of this layout
		}
		list = append(list, chain{int64(binary.BigEndian.Uint32(page[cell+local:])), int(total) - local})
	}
	return list
}

// varint reads a number of SQLite's and how many bytes it has.
func varint(page []byte, at int) (v uint64, n int) {
	for n < 9 && at+n < len(page) {
		b := page[at+n]
		n++
		if n == 9 {
			return v<<8 | uint64(b), n
		}
		v = v<<7 | uint64(b&0x7f)
		if b < 0x80 {
			break
		}
	}
	return v, n
}

// tail is the last page of a chain without what stands behind its content, nil
// if there is nothing to remove.
func (at chain) tail(c *conn) (n int64, page []byte, err error) {
	for {
		page, err = pageOf(c, at.page)
		if err != nil || len(page) < 4 {
			return 0, nil, err
		}
		next := int64(binary.BigEndian.Uint32(page))
		if at.left <= len(page)-4 {
			if next != 0 {
				return 0, nil, nil // no chain of this layout
			}
			break
		}
		at.page, at.left = next, at.left-(len(page)-4)
		if next == 0 {
			return 0, nil, nil
		}
	}
	rest := page[4+at.left:]
	if len(bytes.Trim(rest, "\x00")) == 0 {
		return 0, nil, nil
	}
	clear(rest)
	return at.page, page, nil
}
