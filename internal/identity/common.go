package identity

import "strings"

// commonPasswords are the passwords that guessers try first, in lower case.
// Only those that are long enough for the default minimum are worth a line.
var commonPasswords = func() map[string]bool {
	set := make(map[string]bool)
	for _, word := range strings.Fields(commonPasswordText) {
		set[word] = true
	}
	return set
}()

const commonPasswordText = `
00000000 000000000 0000000000 01234567 012345678 0123456789 0987654321 10203040 11111111 111111111 1111111111
11223344 1122334455 11112222 12121212 12312312 123123123 12341234 12344321 12345678 123456789 1234567890
12345678910 123456789a 12345678a 1234567a 123456abc 123456qwerty 1234qwer 123abc123 123qwe123 123qweasd
13131313 147258369 14725836 159357456 1a2b3c4d 1q2w3e4r 1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx 1qaz2wsx3edc 1qazxsw2
20202020 22222222 33333333 44444444 55555555 66666666 77777777 87654321 88888888 888888888 98765432 987654321
9876543210 99999999 999999999 a1234567 a12345678 a123456789 a1b2c3d4 aa123456 aaaaaaaa abababab abc12345
abc123456 abcd1234 abcdefg1 abcdefgh abcdefghi adminadmin admin123 admin1234 admin12345 admin123456
administrator adobe123 alexander alexandra asdasdasd asdf1234 asdfasdf asdfghjk asdfghjkl azertyuiop babygirl
baseball basketball batman123 blink182 bismillah butterfly changeme changeme1 changeme123 charlie1 charlotte
chocolate christian christopher computer corvette courtney creative cristina danielle database default1
default123 diamonds dolphins dragon123 einstein elephant elizabeth falcon123 fernando firebird football
football1 forever1 freedom1 garfield gfhjkm123 godzilla goodluck guest123 guestguest hardcore hello123
helloworld hunter12 iloveyou iloveyou1 iloveyou2 internet jennifer jessica1 johncena jonathan jordan23
kalamdb1 kalamdb123 kalamdb1234 kalamdbkalamdb kimberly kristina letmein1 letmein123 leonardo lovelove
loveyou1 manchester marlboro maverick mercedes metallica michael1 michelle microsoft midnight minecraft
monkey123 mustang1 nicholas nothing1 overlord p4ssw0rd p4ssword pa55w0rd pa55word pass1234 pass12345
passport passw0rd passw0rd1 passwd123 password password! password01 password1 password1! password11
password12 password123 password123! password1234 password2 password3 password99 passwordpassword patricia
platinum playstation pokemon1 postgres postgres1 princess princess1 q1w2e3r4 q1w2e3r4t5 q1w2e3r4t5y6 qazwsx123
qazwsxedc qqqqqqqq qwaszx12 qwe123qwe qweasdzxc qweqweqwe qwer1234 qwert123 qwerty12 qwerty123 qwerty1234
qwerty12345 qwerty123456 qwertyui qwertyuiop qwertyqwerty rainbow1 richard1 rootroot root1234 root12345
samantha samsung1 scorpion secret12 secret123 security server123 shadow123 slipknot snowball softball
southside spiderman starwars startrek steelers stephanie summer123 sunflower sunshine sunshine1 superman
superman1 superuser supervisor sysadmin system123 temp1234 test1234 test12345 testing1 testing123 testtest
thunderbird tinkerbell trustno1 trustno1! undertaker user1234 username valentina victoria warcraft welcome1
welcome123 welcome1234 whatever william1 windows1 winston1 xxxxxxxx zaq12wsx zaq1zaq1 zxcvbnm1 zxcvbnm123
zxcvbnma zxcvbnmzxcvbnm zzzzzzzz 
`
