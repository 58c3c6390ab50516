package server

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/kalamdb/kalam-go/internal/identity"
)

// ConnContext gives the requests of a connection the address that it comes
// from. It is for http.Server, and costs nothing per request.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		host = c.RemoteAddr().String()
	}
	return identity.WithClient(ctx, identity.Client{Addr: host})
}

// peerHost is the address that a request comes from, without the port.
func peerHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// viaProxy reports whether a request comes from a configured proxy. What the
// headers of any other say about where it comes from is not read.
func (s *Server) viaProxy(r *http.Request) bool {
	return len(s.options.TrustedProxies) > 0 && s.isProxy(peerHost(r))
}

func (s *Server) isProxy(host string) bool {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	ip = ip.Unmap().WithZone("")
	for _, p := range s.options.TrustedProxies {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// clientAddr is the address of the client. Behind configured proxies it is the
// last of X-Forwarded-For that is not one of them: what stands before it, the
// client itself may have written. It is never a loopback address then.
func (s *Server) clientAddr(r *http.Request) string {
	peer := peerHost(r)
	if !s.viaProxy(r) {
		return peer
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop := strings.TrimSpace(hops[i])
		ip, err := netip.ParseAddr(hop)
		if err != nil || ip.Unmap().IsLoopback() {
			return peer
		}
		if !s.isProxy(hop) {
			return ip.Unmap().WithZone("").String()
		}
	}
	return peer
}

// isHTTPS reports whether the client speaks TLS, with us or with a configured
// proxy that says so.
func (s *Server) isHTTPS(r *http.Request) bool {
	return r.TLS != nil || s.viaProxy(r) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// mayCarrySecrets refuses passwords and refresh tokens that came in the clear
// over a network: by then somebody may have read them, and the client should
// learn that it is set up wrongly.
func (s *Server) mayCarrySecrets(w http.ResponseWriter, r *http.Request) bool {
	if s.options.AllowPlaintext || s.isHTTPS(r) {
		return true
	}
	if ip, err := netip.ParseAddr(peerHost(r)); err == nil && ip.Unmap().IsLoopback() {
		return true
	}
	writeAuthError(w, http.StatusForbidden, "insecure_transport",
		"credentials are accepted over https only; serve with --tls-cert and --tls-key, or set allow_plaintext_login in [security]")
	return false
}
