package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Origins are the allowed origins as browsers write them. One that no browser
// sends is an error that says what to write.
func (c *Config) Origins() ([]string, error) {
	out := make([]string, len(c.Security.CORS.AllowedOrigins))
	for i, text := range c.Security.CORS.AllowedOrigins {
		origin, err := canonicalOrigin(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("[security.cors] allowed_origins: %q names no origin: %w", text, err)
		}
		out[i] = origin
	}
	return out, nil
}

// canonicalOrigin writes an origin as browsers do in the header Origin (RFC
// 6454, section 6.2, and the URL standard): lower case, without a path and
// without the port that the scheme implies. "*", for all, stays.
func canonicalOrigin(text string) (string, error) {
	switch {
	case text == "*":
		return text, nil
	case text == "null":
		return "", errors.New("files and sandboxed pages of everybody have the origin null, so it names no page; \"*\" is for all of them, without cookies")
	case text == "":
		return "", errors.New("it is empty")
	case !strings.Contains(text, "://"):
		return "", fmt.Errorf("an origin begins with its scheme, as https://%s", strings.TrimRight(text, "/"))
	case strings.Contains(text, "*"):
		return "", errors.New("there are no patterns; list each origin, or \"*\" alone for all")
	}
	for _, r := range text {
		if r <= ' ' || r > '~' {
			return "", errors.New("browsers write other characters of a host in ASCII, as xn--bcher-kva.example, and no spaces")
		}
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return "", errors.New("an origin is a scheme, a host and perhaps a port, as https://app.example.com:8443")
	}
	if u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(text, "?") || strings.HasSuffix(text, "#") {
		return "", fmt.Errorf("an origin has no user, path or query: write %s://%s", u.Scheme, u.Host)
	}
	scheme, host, port := strings.ToLower(u.Scheme), strings.ToLower(u.Hostname()), u.Port()
	if addr, err := netip.ParseAddr(host); err == nil {
		if host = addr.String(); addr.Is6() {
			host = "[" + host + "]"
		}
	} else if last := host[strings.LastIndexByte(host, '.')+1:]; strings.Trim(last, "0123456789") == "" {
		return "", fmt.Errorf("%s is not an address", host)
	}
	if port == "" {
		return scheme + "://" + host, nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", fmt.Errorf("%s is not a port", port)
	}
	if scheme == "https" && n == 443 || scheme == "http" && n == 80 {
		return scheme + "://" + host, nil
	}
	return scheme + "://" + host + ":" + strconv.FormatUint(n, 10), nil
}
