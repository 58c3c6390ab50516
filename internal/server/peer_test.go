package server

import (
	"net/netip"
	"strings"
	"testing"
)

const connections = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 100 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1F90 0100007F:A02E 01 00000000:00000000 00:00000000 00000000   999        0 101 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:A02E 0100007F:1F90 01 00000000:00000000 00:00000000 00000000    33        0 102 1 0000000000000000 20 4 30 10 -1
   3: 0000000000000000FFFF00000100007F:A02F 0000000000000000FFFF00000100007F:1F90 01 00000000:00000000 00:00000000 00000000    34        0 103 1 0 20
   4: 00000000000000000000000001000000:A030 00000000000000000000000001000000:1F90 01 00000000:00000000 00:00000000 00000000    35        0 104 1 0 20
`

func TestOwnerOfAConnectionIsFoundByItsClientsEnd(t *testing.T) {
	for client, want := range map[string]int{"127.0.0.1:41006": 33, "127.0.0.1:41007": 34, "[::1]:41008": 35, "127.0.0.1:41009": -1} {
		server := netip.MustParseAddrPort("127.0.0.1:8080")
		if strings.HasPrefix(client, "[") {
			server = netip.MustParseAddrPort("[::1]:8080")
		}
		uid, ok := ownerOf(strings.NewReader(connections), netip.MustParseAddrPort(client), server)
		if !ok {
			uid = -1
		}
		if uid != want {
			t.Errorf("%s belongs to %d, want %d", client, uid, want)
		}
	}
}
