package wire

// Claims are what a client reads in an access token, without being able to
// verify it: who it is for and how long it lives. Times are seconds since 1970,
// 0 when they are not there.
type Claims struct {
	Subject   string
	Issuer    string
	ExpiresAt int64
	IssuedAt  int64
}

// DecodeClaims reads the payload of a JWT, already decoded from base64.
func DecodeClaims(payload []byte) (*Claims, error) {
	r := newReader(payload, false)
	c := &Claims{}
	first, key := true, ""
	if r.open('{', "an object") {
		for r.member(&first, &key) {
			v, _ := r.value()
			switch key {
			case "sub":
				c.Subject = v.Text()
			case "iss":
				c.Issuer = v.Text()
			case "exp":
				c.ExpiresAt = int64(v.Float())
			case "iat":
				c.IssuedAt = int64(v.Float())
			}
		}
	}
	if err := r.err(CodeProtocol, "invalid claims: "); err != nil {
		return nil, err
	}
	return c, nil
}
