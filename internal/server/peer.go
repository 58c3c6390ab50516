package server

import (
	"bufio"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// proxyHeaders are set by proxies, and by nobody who speaks for themselves.
var proxyHeaders = []string{
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Forwarded-Port",
	"X-Real-Ip", "X-Client-Ip", "X-Original-Url", "X-Original-Host", "True-Client-Ip", "Cf-Connecting-Ip", "Via",
}

// isProxied reports whether a proxy has passed a request on, as far as the
// request shows. Some speak HTTP/1.0, which no client of ours does.
func isProxied(r *http.Request) bool {
	return !r.ProtoAtLeast(1, 1) || slices.ContainsFunc(proxyHeaders, func(h string) bool { return r.Header.Get(h) != "" })
}

// isOwnUser reports whether the program at the other end of a loopback connection
// belongs to the user of the server, or to root. A proxy mostly runs as a user of
// its own, and what it passes on may come from anywhere, whatever it says. Where
// the system does not tell, it is true.
func isOwnUser(r *http.Request) bool {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if local == nil {
		return true
	}
	client, err := netip.ParseAddrPort(r.RemoteAddr)
	server, err2 := netip.ParseAddrPort(local.String())
	if err != nil || err2 != nil {
		return false
	}
	told := false
	for _, path := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		told = true
		uid, ok := ownerOf(f, client, server)
		f.Close()
		if ok {
			return uid == 0 || uid == os.Getuid()
		}
	}
	return !told
}

// ownerOf finds the user who owns the client's end of a connection in the
// system's table of connections (proc_net_tcp(5)).
func ownerOf(table io.Reader, client, server netip.AddrPort) (uid int, ok bool) {
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 8 {
			continue
		}
		if tableAddr(f[1]) != unmapped(client) || tableAddr(f[2]) != unmapped(server) {
			continue
		}
		uid, err := strconv.Atoi(f[7])
		return uid, err == nil
	}
	return 0, false
}

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// tableAddr reads an address of the table: words of the machine's byte order, in
// hexadecimal, and the port.
func tableAddr(text string) netip.AddrPort {
	host, port, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(host)
	n, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil || len(b)%4 != 0 {
		return netip.AddrPort{}
	}
	for word := range slices.Chunk(b, 4) {
		slices.Reverse(word) // little-endian, as all that we build for
	}
	addr, _ := netip.AddrFromSlice(b)
	return unmapped(netip.AddrPortFrom(addr, uint16(n)))
}
