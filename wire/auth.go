package wire

// LoginRequest is the body of POST /v1/api/auth/login, the one place where a
// password travels.
type LoginRequest struct {
	User     string
	Password string
}

// LoginUser is the signed-in user in an answer of the auth routes. Times are
// RFC 3339 texts.
type LoginUser struct {
	ID        string
	Role      string
	Email     string
	HasEmail  bool
	Verified  bool   // the owner has proved Email
	Name      string // for people, "" for none
	Anonymous bool   // an account without a name yet
	CreatedAt string
	UpdatedAt string
}

// LoginResponse is the answer of login and refresh; the answer of /me is its
// User and AdminUIAccess.
type LoginResponse struct {
	User             LoginUser
	AdminUIAccess    bool
	ExpiresAt        string
	AccessToken      string
	RefreshToken     string
	RefreshExpiresAt string
}

// AppendLoginRequest appends the body of a login.
func AppendLoginRequest(dst []byte, l *LoginRequest) []byte {
	dst = append(dst, `{"user":`...)
	dst = AppendString(dst, l.User)
	dst = append(dst, `,"password":`...)
	dst = AppendString(dst, l.Password)
	return append(dst, '}')
}

// DecodeLoginRequest reads the body of a login. The name may also be called
// username.
func DecodeLoginRequest(b []byte) (*LoginRequest, *Error) {
	r := newReader(b, false)
	l := &LoginRequest{}
	var user, password bool
	first, key := true, ""
	if r.open('{', "an object") {
		for r.member(&first, &key) {
			switch key {
			case "user", "username":
				l.User, user = r.str("a string for user"), true
			case "password":
				l.Password, password = r.str("a string for password"), true
			default:
				r.skip()
			}
		}
	}
	if !user || !password {
		r.fail("user and password are required")
	}
	if err := r.err(CodeInvalidInput, badPayload); err != nil {
		return nil, err
	}
	return l, nil
}

// AppendLoginUser appends the user object of the auth routes.
func AppendLoginUser(dst []byte, u *LoginUser) []byte {
	dst = append(dst, `{"id":`...)
	dst = AppendString(dst, u.ID)
	dst = append(dst, `,"role":`...)
	dst = AppendString(dst, u.Role)
	dst = append(dst, `,"email":`...)
	if u.HasEmail {
		dst = AppendString(dst, u.Email)
	} else {
		dst = append(dst, "null"...)
	}
	if u.Verified {
		dst = append(dst, `,"email_verified":true`...)
	}
	if u.Name != "" {
		dst = AppendString(append(dst, `,"name":`...), u.Name)
	}
	if u.Anonymous {
		dst = append(dst, `,"anonymous":true`...)
	}
	dst = append(dst, `,"created_at":`...)
	dst = AppendString(dst, u.CreatedAt)
	dst = append(dst, `,"updated_at":`...)
	dst = AppendString(dst, u.UpdatedAt)
	return append(dst, '}')
}

// AppendLoginResponse appends the answer of login and refresh. Without an
// access token it is the answer of /me.
func AppendLoginResponse(dst []byte, l *LoginResponse) []byte {
	dst = append(dst, `{"user":`...)
	dst = AppendLoginUser(dst, &l.User)
	dst = append(dst, `,"admin_ui_access":`...)
	dst = AppendCell(dst, Type{}, BoolValue(l.AdminUIAccess))
	if l.AccessToken != "" {
		dst = append(dst, `,"expires_at":`...)
		dst = AppendString(dst, l.ExpiresAt)
		dst = append(dst, `,"access_token":`...)
		dst = AppendString(dst, l.AccessToken)
	}
	if l.RefreshToken != "" {
		dst = append(dst, `,"refresh_token":`...)
		dst = AppendString(dst, l.RefreshToken)
		dst = append(dst, `,"refresh_expires_at":`...)
		dst = AppendString(dst, l.RefreshExpiresAt)
	}
	return append(dst, '}')
}

// DecodeLoginResponse reads the answer of login, refresh or /me.
func DecodeLoginResponse(b []byte) (*LoginResponse, error) {
	r := newReader(b, false)
	l := &LoginResponse{}
	first, key := true, ""
	if r.open('{', "an object") {
		for r.member(&first, &key) {
			if r.null() {
				continue
			}
			switch key {
			case "user":
				l.User = r.loginUser()
			case "admin_ui_access":
				l.AdminUIAccess = r.bool("true or false for admin_ui_access")
			case "expires_at":
				l.ExpiresAt = r.str("a string for expires_at")
			case "access_token":
				l.AccessToken = r.str("a string for access_token")
			case "refresh_token":
				l.RefreshToken = r.str("a string for refresh_token")
			case "refresh_expires_at":
				l.RefreshExpiresAt = r.str("a string for refresh_expires_at")
			default:
				r.skip()
			}
		}
	}
	if err := r.err(CodeProtocol, "invalid answer: "); err != nil {
		return nil, err
	}
	return l, nil
}

func (r *reader) loginUser() LoginUser {
	var u LoginUser
	first, key := true, ""
	if !r.open('{', "an object for user") {
		return u
	}
	for r.member(&first, &key) {
		v, _ := r.value()
		switch key {
		case "id":
			u.ID = v.Text()
		case "role":
			u.Role = v.Text()
		case "email":
			u.Email, u.HasEmail = v.Text(), !v.IsNull()
		case "email_verified":
			u.Verified = v.Bool()
		case "name":
			u.Name = v.Text()
		case "anonymous":
			u.Anonymous = v.Bool()
		case "created_at":
			u.CreatedAt = v.Text()
		case "updated_at":
			u.UpdatedAt = v.Text()
		}
	}
	return u
}

// AuthError is the error body of the auth routes: a code in snake case, as in
// "unauthorized", and a text.
type AuthError struct {
	Code    string
	Message string
}

// Error gives the text.
func (e *AuthError) Error() string {
	if e.Message == "" {
		return e.Code
	}
	return e.Message
}

// AppendAuthError appends the error body of an auth route.
func AppendAuthError(dst []byte, e *AuthError) []byte {
	dst = append(dst, `{"error":`...)
	dst = AppendString(dst, e.Code)
	dst = append(dst, `,"message":`...)
	dst = AppendString(dst, e.Message)
	return append(dst, '}')
}

// DecodeAuthError reads the error body of an auth route; nil when b is none.
func DecodeAuthError(b []byte) *AuthError {
	r := newReader(b, false)
	e := &AuthError{}
	first, key := true, ""
	if r.open('{', "an object") {
		for r.member(&first, &key) {
			v, _ := r.value()
			switch key {
			case "error":
				e.Code = v.Text()
			case "message":
				e.Message = v.Text()
			}
		}
	}
	if r.err(CodeProtocol, "") != nil || e.Code == "" {
		return nil
	}
	return e
}

// String names the user only.
func (l LoginRequest) String() string { return "login of " + l.User }

// String names the user only.
func (l LoginResponse) String() string { return "session of " + l.User.ID }
