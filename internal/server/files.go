package server

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/kalamdb/kalam-go/internal/engine"
	"github.com/kalamdb/kalam-go/internal/fault"
	"github.com/kalamdb/kalam-go/internal/identity"
	"github.com/kalamdb/kalam-go/internal/store"
	"github.com/kalamdb/kalam-go/wire"
)

// Where files are read: the route of the protocol, and the one that the SDKs of
// KalamDB 0.4 ask for.
const (
	fileRoute    = "/v1/files/"
	fileRouteSDK = "/api/v1/files/"
)

func isFileRoute(path string) bool {
	return strings.HasPrefix(path, fileRoute) || strings.HasPrefix(path, fileRouteSDK)
}

// fileName reads the path and the query of a download: a name has four parts,
// none of which could mean another folder.
func fileName(u *url.URL) (engine.FileName, *wire.Error) {
	path := u.EscapedPath()
	if rest, ok := strings.CutPrefix(path, fileRouteSDK); ok {
		path = rest
	} else {
		path = strings.TrimPrefix(path, fileRoute)
	}
	parts := strings.Split(path, "/")
	bad := wire.NewError(wire.CodeInvalidInput, "the path of a file is /v1/files/{namespace}/{table}/{subfolder}/{file}")
	if len(parts) != 4 {
		return engine.FileName{}, bad
	}
	for i, p := range parts {
		name, err := url.PathUnescape(p)
		if err != nil || name == "" || strings.Contains(name, "..") || strings.ContainsAny(name, "/\\\x00") {
			return engine.FileName{}, bad
		}
		parts[i] = name
	}
	if sub := parts[2]; len(sub) != 5 || sub[0] != 'f' || strings.Trim(sub[1:], "0123456789") != "" {
		return engine.FileName{}, bad
	}
	return engine.FileName{Namespace: parts[0], Table: parts[1], Sub: parts[2], File: parts[3], User: u.Query().Get("user_id")}, nil
}

// resource is what a ticket for a file is good for.
func resource(n engine.FileName) string {
	return strings.Join([]string{"file", n.Namespace, n.Table, n.Sub, n.File, n.User}, "\x00")
}

// file answers GET and HEAD of a file (protocol 1.10).
func (s *Server) file(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		writeNoMethod(w, fault.File, "GET, HEAD")
		return
	}
	name, bad := fileName(r.URL)
	if bad != nil {
		writeFileError(w, bad)
		return
	}
	var who *identity.Principal
	var err error
	if ticket := r.URL.Query().Get("ticket"); ticket != "" && r.Header.Get("Authorization") == "" {
		who, err = s.users.Redeem(r.Context(), ticket, resource(name))
	} else {
		who, err = s.principal(r)
	}
	if err != nil {
		s.writeBearerError(w, err)
		return
	}
	if !s.queries.allow(who.UserID) {
		writeFileError(w, wire.NewError(wire.CodeRateLimited, "too many requests; wait a moment"))
		return
	}
	f, err := s.engine.File(r.Context(), who, name)
	if err != nil {
		writeFileError(w, asWireError(err))
		return
	}
	content, err := s.files.Open(f)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.options.Logger.Error("read a file", "file", f.Key(), "error", err)
		}
		writeFileError(w, wire.NewError(wire.CodeFileNotFound, "File not found"))
		return
	}
	defer content.Close()
	serveFile(w, r, f, content)
}

// Header values of files. A page that somebody has uploaded does nothing in the
// name of the site: it runs no script and has an origin of its own.
var (
	sandboxed   = []string{"default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src 'self'; frame-ancestors 'none'; sandbox"}
	revalidated = []string{"private, no-cache"}
	exposed     = []string{"Content-Disposition, Content-Length, Content-Range, ETag"}
)

func serveFile(w http.ResponseWriter, r *http.Request, f *store.File, content io.ReadSeeker) {
	h := w.Header()
	h["Cache-Control"] = revalidated
	h["Access-Control-Expose-Headers"] = exposed
	h.Set("ETag", `"`+f.SHA256+`"`)
	h.Set("Content-Type", f.MIME)
	disposition := "attachment"
	if showsInPage(f.MIME) && r.URL.Query().Get("download") == "" {
		disposition = "inline"
	}
	h.Set("Content-Disposition", named(disposition, f.Name))
	p := newPaced(w)
	http.ServeContent(pacedFile{w, p}, r, "", time.Time{}, content)
	p.end()
}

// pacedFile is a ResponseWriter whose body is paced.
type pacedFile struct {
	http.ResponseWriter
	paced paced
}

func (f pacedFile) Write(b []byte) (int, error) { return f.paced.Write(b) }

// ReadFrom lets the system copy a file into a connection, a piece at a time.
func (f pacedFile) ReadFrom(r io.Reader) (n int64, err error) {
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		limited = &io.LimitedReader{R: r, N: math.MaxInt64}
	}
	for limited.N > 0 {
		f.paced.rc.SetWriteDeadline(time.Now().Add(writeTimeout))
		k, err := io.Copy(f.ResponseWriter, &io.LimitedReader{R: limited.R, N: min(answerChunk, limited.N)})
		n += k
		limited.N -= k
		if err != nil || k == 0 {
			return n, err
		}
	}
	return n, nil
}

// named adds the name of a file to a Content-Disposition: in quotes, as clients of
// KalamDB 0.4 read it, or in the form of RFC 5987 where that cannot be.
func named(disposition, name string) string {
	plain := !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' })
	if plain && name != "" {
		return disposition + `; filename="` + name + `"`
	}
	return cmp.Or(mime.FormatMediaType(disposition, map[string]string{"filename": name}), disposition)
}

// showsInPage reports whether a browser may show a type in place: pictures
// without scripts, sound, video and plain text.
func showsInPage(media string) bool {
	media, _, _ = strings.Cut(media, ";")
	switch {
	case media == "image/svg+xml":
		return false
	case media == "text/plain":
		return true
	}
	kind, _, _ := strings.Cut(media, "/")
	return kind == "image" || kind == "audio" || kind == "video"
}

// writeFileError answers a failed request for a file.
func writeFileError(w http.ResponseWriter, e *wire.Error) {
	w.Header()["Cache-Control"] = noStore
	as := fault.AnswerOf(fault.File, e.Code)
	if as.Status == http.StatusNotFound {
		writeJSON(w, as.Status, wire.AppendTopicError(nil, e))
		return
	}
	if e.Code == wire.CodeRateLimited {
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, as.Status, wire.AppendResponse(nil, &wire.Response{Err: e}))
}

// The life of a signed URL.
const (
	defaultLink = 5 * time.Minute
	longestLink = 24 * time.Hour
)

// signFile answers POST /v1/api/files/sign with a URL that reads one file
// without a token.
func (s *Server) signFile(w http.ResponseWriter, r *http.Request) {
	who, err := s.principal(r)
	if err != nil {
		s.writeBearerError(w, err)
		return
	}
	link, err := s.link(w, r, who)
	if err != nil {
		writeFileError(w, asWireError(err))
		return
	}
	w.Header()["Cache-Control"] = noStore
	writeJSON(w, http.StatusOK, wire.AppendFileLink(nil, link))
}

func (s *Server) link(w http.ResponseWriter, r *http.Request, who *identity.Principal) (*wire.FileLink, error) {
	if !s.queries.allow(who.UserID) {
		return nil, wire.NewError(wire.CodeRateLimited, "too many requests; wait a moment")
	}
	if !isJSON(r) {
		return nil, wire.NewError(wire.CodeInvalidInput, "the request needs Content-Type: application/json")
	}
	body, err := readBody(w, r, nil, 16<<10, nil)
	if err != nil {
		return nil, wire.NewError(wire.CodeInvalidInput, "the request body is too long or ended early")
	}
	asked, bad := wire.DecodeFileLinkRequest(body)
	if bad != nil {
		return nil, bad
	}
	life := time.Duration(asked.ExpiresIn) * time.Second
	if asked.ExpiresIn == 0 {
		life = defaultLink
	}
	if life < time.Second || asked.ExpiresIn > int(longestLink/time.Second) {
		return nil, wire.NewError(wire.CodeInvalidInput, "expires_in is 1 to 86400 seconds")
	}
	u, err := url.Parse(asked.Path)
	if err != nil || u.Host != "" || !isFileRoute(u.Path) {
		return nil, wire.NewError(wire.CodeInvalidInput, "path is the path of a file beneath the server's URL, as in /v1/files/{namespace}/{table}/{subfolder}/{file}")
	}
	name, bad := fileName(u)
	if bad != nil {
		return nil, bad
	}
	if _, err := s.engine.File(r.Context(), who, name); err != nil {
		return nil, err
	}
	ticket, until, err := s.users.Ticket(who, resource(name), time.Now().Add(life))
	if err != nil {
		return nil, err
	}
	query := url.Values{"ticket": {ticket}}
	if name.User != "" {
		query.Set("user_id", name.User)
	}
	if d := u.Query().Get("download"); d != "" {
		query.Set("download", d)
	}
	return &wire.FileLink{URL: u.EscapedPath() + "?" + query.Encode(), ExpiresAt: until.Unix()}, nil
}
