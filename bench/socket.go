package main

import (
	"bufio"
	endian "encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// socket is a WebSocket client that is as small as it can be.
type socket struct {
	conn net.Conn
	r    *bufio.Reader
	in   []byte
}

// dialSocket opens a socket and, unless token is "", waits until it is signed
// in.
func dialSocket(addr, token string) (*socket, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &socket{conn: c, r: bufio.NewReaderSize(c, 1024)}
	if err := s.open(token); err != nil {
		c.Close()
		return nil, err
	}
	return s, nil
}

func (s *socket) open(token string) error {
	request := "GET /v1/ws?compress=false HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	if token != "" {
		request += "Authorization: Bearer " + token + "\r\n"
	}
	if _, err := io.WriteString(s.conn, request+"\r\n"); err != nil {
		return err
	}
	status, err := s.r.ReadString('\n')
	if err != nil || !strings.Contains(status, " 101 ") {
		return fmt.Errorf("upgrade: %s %w", status, err)
	}
	for line := status; strings.TrimSpace(line) != ""; {
		if line, err = s.r.ReadString('\n'); err != nil {
			return err
		}
	}
	if token == "" {
		return nil
	}
	_, err = s.until("auth_success")
	return err
}

// until reads up to the first message with that word.
func (s *socket) until(word string) ([]byte, error) {
	for {
		m, err := s.read()
		if err != nil {
			return nil, err
		}
		if strings.Contains(string(m), word) {
			return m, nil
		}
		if strings.Contains(string(m), `"error"`) {
			return nil, errors.New(string(m))
		}
	}
}

// subscribe watches a query from now on.
func (s *socket) subscribe(id, sql string) error {
	if err := s.send(fmt.Appendf(nil, `{"type":"subscribe","subscription":{"id":%q,"sql":%q}}`, id, sql)); err != nil {
		return err
	}
	_, err := s.until("subscription_ack")
	return err
}

// send sends a text message. Its mask is zero.
func (s *socket) send(payload []byte) error { return s.frame(0x81, payload) }

func (s *socket) frame(head byte, payload []byte) error {
	b := []byte{head, 0}
	if n := len(payload); n < 126 {
		b[1] = 0x80 | byte(n)
	} else {
		b[1] = 0x80 | 126
		b = endian.BigEndian.AppendUint16(b, uint16(n))
	}
	b = append(b, 0, 0, 0, 0)
	_, err := s.conn.Write(append(b, payload...))
	return err
}

// read gives the next message, valid until the following, and answers pings.
func (s *socket) read() ([]byte, error) {
	for {
		var head [2]byte
		if _, err := io.ReadFull(s.r, head[:]); err != nil {
			return nil, err
		}
		n := int(head[1])
		switch n {
		case 126:
			var b [2]byte
			if _, err := io.ReadFull(s.r, b[:]); err != nil {
				return nil, err
			}
			n = int(endian.BigEndian.Uint16(b[:]))
		case 127:
			var b [8]byte
			if _, err := io.ReadFull(s.r, b[:]); err != nil {
				return nil, err
			}
			n = int(endian.BigEndian.Uint64(b[:]))
		}
		if cap(s.in) < n {
			s.in = make([]byte, n)
		}
		s.in = s.in[:n]
		if _, err := io.ReadFull(s.r, s.in); err != nil {
			return nil, err
		}
		switch head[0] & 15 {
		case 9:
			if err := s.frame(0x8a, s.in); err != nil {
				return nil, err
			}
		case 10:
		case 8:
			return nil, fmt.Errorf("closed: %q", s.in)
		default:
			return s.in, nil
		}
	}
}
