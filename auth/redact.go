package auth

// String describes a without its secret.
func (a Auth) String() string {
	switch {
	case IsBasic(a):
		return "basic(" + a.p().user + ", [redacted])"
	case IsJWT(a):
		return "jwt([redacted])"
	}
	return "none"
}

// GoString is String: a secret has no Go syntax.
func (a Auth) GoString() string { return "auth." + a.String() }

// String leaves out the token.
func (r Request) String() string { return string(r.Reason) }

// MarshalText gives String.
func (a Auth) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// MarshalJSON gives the kind of credentials only.
func (a Auth) MarshalJSON() ([]byte, error) {
	switch {
	case IsBasic(a):
		return []byte(`"basic([redacted])"`), nil
	case IsJWT(a):
		return []byte(`"jwt([redacted])"`), nil
	}
	return []byte("null"), nil
}
