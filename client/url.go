package client

import (
	"errors"
	"strings"
)

// endpoint is where a server is. Credentials are sent nowhere else.
type endpoint struct {
	http string // base URL for requests, without a trailing slash
	ws   string // URL of the socket
	safe bool   // TLS, or a loopback host: credentials may travel
}

// parseURL takes a base URL apart by hand: net/url would be an eighth of a
// megabyte in the WebAssembly build.
func parseURL(raw string) (endpoint, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	scheme = strings.ToLower(scheme)
	if !ok || scheme != "http" && scheme != "https" {
		return endpoint{}, errors.New("url must begin with http:// or https://")
	}
	if strings.ContainsAny(rest, "?#@\\%") {
		return endpoint{}, errors.New("url must not hold credentials, a query, a fragment or escapes")
	}
	for i := 0; i < len(rest); i++ {
		if rest[i] <= ' ' || rest[i] >= 0x7f {
			return endpoint{}, errors.New("url holds a character that is not allowed")
		}
	}
	host, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		host, path = rest[:i], strings.TrimRight(rest[i:], "/")
	}
	name, err := hostName(host)
	if err != nil {
		return endpoint{}, err
	}
	e := endpoint{http: scheme + "://" + host + path, safe: scheme == "https" || isLoopback(name)}
	e.ws = "ws" + strings.TrimPrefix(e.http, "http") + "/v1/ws"
	return e, nil
}

// hostName gives the host without its port and brackets.
func hostName(host string) (string, error) {
	name, port := host, ""
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 {
			return "", errors.New("url has an address without its closing bracket")
		}
		name, port = host[1:end], host[end+1:]
		if port != "" && port[0] != ':' {
			return "", errors.New("url has text after its address")
		}
	} else if i := strings.IndexByte(host, ':'); i >= 0 {
		name, port = host[:i], host[i:]
	}
	if name == "" {
		return "", errors.New("url has no host")
	}
	if port != "" {
		n := 0
		for _, c := range port[1:] {
			if c < '0' || c > '9' || n > 65535 {
				return "", errors.New("url has a bad port")
			}
			n = n*10 + int(c-'0')
		}
		if n == 0 || n > 65535 {
			return "", errors.New("url has a bad port")
		}
	}
	return name, nil
}

// isLoopback reports whether a host is this machine by its name alone:
// localhost, 127.0.0.0/8 and ::1.
func isLoopback(name string) bool {
	name = strings.ToLower(name)
	if name == "localhost" || name == "::1" {
		return true
	}
	parts := strings.Split(name, ".")
	if len(parts) != 4 || parts[0] != "127" {
		return false
	}
	for _, p := range parts {
		if p == "" || len(p) > 3 {
			return false
		}
		n := 0
		for _, c := range p {
			if c < '0' || c > '9' {
				return false
			}
			n = n*10 + int(c-'0')
		}
		if n > 255 {
			return false
		}
	}
	return true
}
