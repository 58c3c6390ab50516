package store

import (
	"testing"
	"time"
)

func TestCommitWaitsForThoseWhoWereThereLast(t *testing.T) {
	var p pace
	p.begin()
	if wait := p.wait(1); wait > 0 {
		t.Errorf("the first transaction waits %v", wait)
	}
	for few := 1; few < fewestToWait; few++ {
		p.ended(time.Hour, few)
		p.begin()
		if wait := p.wait(1); wait > 0 {
			t.Errorf("one of %d callers waits %v", few, wait)
		}
	}
	p.ended(time.Hour, 8)
	p.begin()
	if wait := p.wait(3); wait > longestWait {
		t.Errorf("after a slow commit it waits %v", wait)
	} else if wait <= 0 && time.Now().Before(p.until) {
		t.Error("it does not wait for the five who are missing")
	}
	if wait := p.wait(8); wait > 0 {
		t.Errorf("all are there, and it waits %v", wait)
	}
	p.until = time.Now()
	if wait := p.wait(3); wait > 0 {
		t.Errorf("the time is over, and it waits %v", wait)
	}
}

func TestWriterWaitsForCompany(t *testing.T) {
	db := new(DB)
	db.writes.init()
	if db.await(1) {
		t.Error("it waits for nobody")
	}
	db.pace = pace{expected: 6, until: time.Now().Add(time.Hour)}
	waited := make(chan bool)
	go func() { waited <- db.await(1) }()
	for range stride {
		select {
		case <-waited:
			t.Fatalf("it goes on with %d", db.writes.able.Load())
		default:
		}
		db.writes.add(&write{}, "alice")
		db.writes.tell()
	}
	if !<-waited {
		t.Error("it did not wait")
	}
	db.pace.until = time.Now().Add(time.Millisecond)
	for range stride {
		db.writes.take(nil)
	}
	db.await(1) // nobody comes: it ends with its time
}
