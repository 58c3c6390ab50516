package node

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// serverTLS is TLS with a certificate from two files, which are read again when
// they have been replaced: a renewal needs no restart.
func serverTLS(certFile, keyFile string, log *slog.Logger) (*tls.Config, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	if err := c.load(); err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}, nil
}

type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	now     *tls.Certificate // mu guards it and the rest
	written time.Time        // of the file it came from
	looked  time.Time
}

// get gives the certificate for a handshake, looking for a new one once in ten
// seconds. The old one goes on while the new one cannot be read.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) > 10*time.Second {
		if info, err := os.Stat(c.certFile); err != nil || !info.ModTime().Equal(c.written) {
			if err := c.load(); err != nil {
				c.log.Error("the certificate cannot be read again; the one in memory goes on", "error", err)
			}
		}
		c.looked = time.Now()
	}
	return c.now, nil
}

func (c *certificate) load() error {
	info, err := os.Stat(c.certFile)
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.now, c.written, c.looked = &pair, info.ModTime(), time.Now()
	return nil
}
