package password

import (
	"strings"
	"sync"

	"github.com/trustelem/zxcvbn/frequency"
)

// Common are the passwords that guessers try first, in lower case:
// those that were found most often in leaked lists, and some of this product's
// own.
var Common = sync.OnceValue(func() map[string]bool {
	set := make(map[string]bool, 1<<15)
	for _, word := range frequency.FrequencyLists["passwords"] {
		set[word] = true
	}
	for _, word := range strings.Fields(ownPasswords) {
		set[word] = true
	}
	return set
})

// productNames are no passwords, alone or repeated or with digits behind.
var productNames = []string{"kalamdb", "kalam-db", "kalam"}

// ownPasswords are what administrators type first and a list of people's
// passwords does not have.
const ownPasswords = `
adminadmin admin123 admin1234 admin12345 admin123456 administrator changeme changeme1 changeme123 default1
default123 guestguest hello123 p4ssw0rd p4ssword pa55w0rd pa55word pass1234 passw0rd1 password! password01
password1! password123! password1234 passwordpassword postgres postgres1 root1234 root12345 rootroot secret123
server123 superuser sysadmin system123 temp1234 test1234 test12345 testing1 testing123 trustno1! user1234
username welcome1 welcome123 welcome1234
`
