package server

import (
	"bufio"
	endian "encoding/binary"
	"net/http"
	"slices"
	"time"

	"github.com/lxzan/gws"
)

// This file wraps the WebSocket library; sockets.go alone knows it beside this,
// where it upgrades a request.

// wsConn is an upgraded connection.
type wsConn struct {
	c   *gws.Conn
	net *guard // what it reads from; Conn is what it writes to
}

// wsHandler gets what comes from a connection, one call at a time.
type wsHandler interface {
	opened(wsConn)
	tooMuch() // it has sent more than a stranger may
	message(data []byte, text bool)
	active()               // a ping or a pong came
	pinged(payload []byte) // a ping came and wants a pong with the same payload
	disconnected()
}

const (
	// writeTimeout is how long a peer may take to read a small frame; slowest is
	// how many bytes a second it reads of a large one.
	writeTimeout = 10 * time.Second
	slowest      = 64 << 10
	// closeWait is how long a peer may take to answer a close frame.
	closeWait = 2 * time.Second
)

// upgrader turns requests into connections. Messages up to twice maxMessage are
// read, so that those over the limit are answered and not cut off.
func newUpgrader(maxMessage int) *gws.Upgrader {
	return gws.NewUpgrader(wsEvents{}, &gws.ServerOption{
		ReadMaxPayloadSize:  2*maxMessage + 1024,
		WriteMaxPayloadSize: 1 << 30,
		CheckUtf8Enabled:    true,
		Recovery:            gws.Recovery,
		HandshakeTimeout:    5 * time.Second,
	})
}

// serve upgrades the request and reads from the connection until it ends.
func serve(u *gws.Upgrader, w http.ResponseWriter, r *http.Request, h wsHandler) error {
	raw, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return err
	}
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	g := &guard{Conn: raw, tooMuch: h.tooMuch, early: slices.Clone(early), allowed: strangerBytes}
	c, err := u.UpgradeFromConn(g, bufio.NewReaderSize(g, 1024), r)
	if err != nil {
		return err
	}
	c.Session().Store("handler", h)
	h.opened(wsConn{c, g})
	// In a goroutine of its own, so that the request can be collected.
	go c.ReadLoop()
	return nil
}

// packet makes a message as it goes over the connection. A server does not mask,
// so all clients may be sent the same bytes (RFC 6455, section 5.2).
func packet(payload []byte, binary bool) []byte {
	head := make([]byte, 0, 10+len(payload))
	if binary {
		head = append(head, 0x82)
	} else {
		head = append(head, 0x81)
	}
	switch n := len(payload); {
	case n < 126:
		head = append(head, byte(n))
	case n < 1<<16:
		head = append(head, 126, byte(n>>8), byte(n))
	default:
		head = append(head, 127)
		head = endian.BigEndian.AppendUint64(head, uint64(n))
	}
	return append(head, payload...)
}

// write sends a packet. The library would copy and check the bytes again for
// each connection.
func (c wsConn) write(packet []byte) error {
	conn := c.net.Conn
	conn.SetWriteDeadline(time.Now().Add(writeTimeout + time.Duration(len(packet)/slowest)*time.Second))
	_, err := conn.Write(packet)
	return err
}

func (c wsConn) ping() error {
	c.c.SetWriteDeadline(time.Now().Add(writeTimeout))
	return c.c.WritePing(nil)
}

func (c wsConn) pong(payload []byte) error {
	c.c.SetWriteDeadline(time.Now().Add(writeTimeout))
	return c.c.WritePong(payload)
}

// close sends a close frame. The connection ends when the peer answers it, or
// soon. The library would end it at once, and what the peer has not read yet
// would be lost whenever it sent something that nobody read.
func (c wsConn) close(code uint16, reason string) error {
	reason = reason[:min(len(reason), 123)]
	frame := append([]byte{0x88, byte(2 + len(reason)), byte(code >> 8), byte(code)}, reason...)
	conn := c.net.Conn
	conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := conn.Write(frame); err != nil {
		return err
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	return conn.SetReadDeadline(time.Now().Add(closeWait))
}

// trust takes messages of the full size from now on.
func (c wsConn) trust() { c.net.trust() }

// cut ends the connection without a word.
func (c wsConn) cut() { c.net.Close() }

type wsEvents struct{}

func handler(c *gws.Conn) wsHandler {
	h, _ := c.Session().Load("handler")
	return h.(wsHandler)
}

func (wsEvents) OnOpen(*gws.Conn) {}

func (wsEvents) OnClose(c *gws.Conn, _ error) { handler(c).disconnected() }

func (wsEvents) OnPing(c *gws.Conn, payload []byte) {
	h := handler(c)
	h.active()
	h.pinged(payload)
}

func (wsEvents) OnPong(c *gws.Conn, _ []byte) { handler(c).active() }

func (wsEvents) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	handler(c).message(m.Bytes(), m.Opcode == gws.OpcodeText)
}
