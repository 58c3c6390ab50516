// Package config is what an operator can set: the keys with their defaults, and
// how they are read from a file and from the environment, those of KalamDB 0.4
// among them. Package node starts a server from it.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"

	"github.com/kalamdb/kalam-go/internal/issuer"
	"github.com/kalamdb/kalam-go/internal/server"
)

// Config is everything an operator can set. A key's tags say what it is and its
// default, which the zero value means; system.settings shows both.
type Config struct {
	Server    ServerConfig    `toml:"server"`
	Storage   StorageConfig   `toml:"storage"`
	Auth      AuthConfig      `toml:"auth"`
	Security  SecurityConfig  `toml:"security"`
	Limits    LimitsConfig    `toml:"limits"`
	RateLimit RateLimitConfig `toml:"rate_limit"`
	WebSocket WebSocketConfig `toml:"websocket"`
	Topics    TopicsConfig    `toml:"topics"`
	Files     FilesConfig     `toml:"files"`
	Mail      MailConfig      `toml:"mail"`
	Logging   LoggingConfig   `toml:"logging"`

	notes []Note // see Notes
}

// ServerConfig is section [server].
type ServerConfig struct {
	Host string `toml:"host" default:"localhost" doc:"address to listen on; localhost means 127.0.0.1 and, where there is one, [::1]"`
	Port int    `toml:"port" doc:"port to listen on; kalam serve takes 8080"`

	TLSCert string `toml:"tls_cert" doc:"PEM file with the certificate and its chain; without it the server speaks plain HTTP"`
	TLSKey  string `toml:"tls_key" doc:"PEM file with the key of the certificate"`

	PublicOrigin string `toml:"public_origin" doc:"where people reach the server, as in https://db.example.com; links in mails point there, and without it mails have a code only"`
}

// MailConfig is section [mail].
type MailConfig struct {
	SMTP      string `toml:"smtp" secret:"true" doc:"SMTP server, as in smtps://user:password@host:465; smtp:// needs STARTTLS unless the host is this machine"`
	SMTPFile  string `toml:"smtp_file" doc:"file that holds the value of smtp"`
	From      string `toml:"from" default:"kalamdb@localhost" doc:"address that mails come from"`
	AppName   string `toml:"app_name" default:"KalamDB" doc:"what mails call the application"`
	Templates string `toml:"templates" doc:"folder with templates of mails (verify.txt, verify.html and so on) that replace the built-in ones"`
}

// StorageConfig is section [storage].
type StorageConfig struct {
	DataPath       string `toml:"data_path" default:"data" doc:"data folder"`
	LogMaxAgeHours int    `toml:"log_max_age_hours" default:"168" doc:"hours for which changes are kept, for live queries that resume"`
	LogMaxBytes    int64  `toml:"log_max_bytes" default:"1073741824" doc:"bytes of changes that are kept at most"`
}

// AuthConfig is section [auth].
type AuthConfig struct {
	RootPassword      string `toml:"root_password" secret:"true" doc:"password of root, until it has one"`
	JWTSecret         string `toml:"jwt_secret" secret:"true" doc:"tokens are signed with HS256 and this; without it, with a key pair"`
	JWTExpiryMinutes  int    `toml:"jwt_expiry_minutes" default:"60" doc:"minutes for which an access token is good"`
	MinPasswordLength int    `toml:"min_password_length" default:"8" doc:"characters of a password at least"`
	CommonPasswords   bool   `toml:"disable_common_password_check" doc:"whether passwords that guessers try first are accepted"`
	AllowRemoteSetup  bool   `toml:"allow_remote_setup" doc:"whether the first setup may come from another machine"`
	SessionIdleDays   int    `toml:"session_idle_days" default:"7" doc:"days after which a session ends that is not refreshed"`
	SessionMaxDays    int    `toml:"session_max_days" default:"30" doc:"days after which every session ends"`
	RefreshGraceSecs  int    `toml:"refresh_grace_secs" default:"30" doc:"seconds for which a replaced refresh token may be replayed after the first use of what replaced it"`
	AuditDays         int    `toml:"audit_days" default:"90" doc:"days for which system.audit_log is kept, at least 30"`
	AuditMaxRows      int    `toml:"audit_max_rows" default:"1000000" doc:"rows of system.audit_log about sign-ins, about failed attempts, and about statements as another user, at most so many of each, at least 10000"`
	NoPasswordLogin   bool   `toml:"no_password_login" doc:"whether only tokens of issuers are good, and no password"`

	Accounts AccountsConfig `toml:"accounts"`

	Issuers []IssuerConfig `toml:"issuers" doc:"OpenID providers whose access tokens are good here; in the file only"`
}

// AccountsConfig is section [auth.accounts]: how people get an account without
// an administrator.
type AccountsConfig struct {
	SignUp              string   `toml:"signup" default:"closed" doc:"who may sign up: closed (nobody), invite or open"`
	Email               string   `toml:"email" default:"required" doc:"required, or none: people sign up with a user name and a password alone"`
	Anonymous           bool     `toml:"anonymous" doc:"whether clients may make accounts without a name"`
	AnonymousDays       int      `toml:"anonymous_days" default:"30" doc:"days after which an idle anonymous account is removed, with its rows"`
	MailsPerAddressHour int      `toml:"mails_per_address_per_hour" default:"10" doc:"mails that an address gets in an hour, 5 of them at once"`
	AllowedRedirects    []string `toml:"allowed_redirects" doc:"origins that links in mails may lead back to"`
}

// IssuerConfig is a section [[auth.issuers]]: an OpenID provider whose access
// tokens are good here.
type IssuerConfig struct {
	Alias          string            `toml:"alias"`            // user ids begin with it: "corp:248289761001"
	Name           string            `toml:"name"`             // for people; default: the alias
	Issuer         string            `toml:"issuer"`           // its https URL, exactly as its tokens say it
	Audience       []string          `toml:"audience"`         // a token needs one of them
	Algorithms     []string          `toml:"algorithms"`       // default RS256
	ClientID       string            `toml:"client_id"`        // for clients that ask how to sign in
	AutoProvision  bool              `toml:"auto_provision"`   // the first token of a subject makes a user
	Role           string            `toml:"role"`             // of that user: default user
	RoleClaim      string            `toml:"role_claim"`       // names groups, as in "groups" or "realm_access.roles"
	Roles          map[string]string `toml:"roles"`            // group = "role"
	AcceptIDTokens bool              `toml:"accept_id_tokens"` // where an app has no access token for this server
	AllowPrivate   bool              `toml:"allow_private"`    // the issuer is in a private network
	CAFile         string            `toml:"ca_file"`          // certificates that sign its certificate
}

// SecurityConfig is section [security].
type SecurityConfig struct {
	CORS                CORSConfig `toml:"cors"`
	MaxRequestBodySize  int64      `toml:"max_request_body_size" default:"10485760" doc:"bytes of a request body"`
	MaxWebSocketMessage int        `toml:"max_ws_message_size" default:"1048576" doc:"bytes of a message on a socket"`
	TrustedProxies      []string   `toml:"trusted_proxies" doc:"networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, as in 10.0.0.0/8"`
	AllowPlaintextLogin bool       `toml:"allow_plaintext_login" doc:"whether credentials are accepted without TLS from other machines"`
}

// CORSConfig is section [security.cors].
type CORSConfig struct {
	AllowedOrigins []string `toml:"allowed_origins" doc:"origins of pages that may call; empty: the server's own, and while it listens on loopback any of this machine"`
}

// LimitsConfig is section [limits].
type LimitsConfig struct {
	MaxRows          int   `toml:"max_rows" default:"100000" doc:"rows of one result"`
	MaxResultBytes   int   `toml:"max_result_bytes" default:"67108864" doc:"bytes of one result in memory"`
	MaxMemory        int64 `toml:"max_memory" default:"536870912" doc:"bytes that the statements that run may hold together for sorting, grouping and joining"`
	MaxRequestMemory int64 `toml:"max_request_memory" default:"268435456" doc:"bytes that requests and sockets may hold together: bodies, and rows and frames until the client has read them; one user may have half of it"`
	StatementTimeout int   `toml:"statement_timeout" default:"30" doc:"seconds a statement that reads may take"`
	WriteTimeout     int   `toml:"write_timeout" default:"5" doc:"seconds a transaction that writes may take"`

	MaxTablesPerUser  int `toml:"max_tables_per_user" default:"200" doc:"tables that a user may have created; dba and system may have any number"`
	MaxColumnsPerUser int `toml:"max_columns_per_user" default:"5000" doc:"columns of the tables of a user together"`
	MaxIndexesPerUser int `toml:"max_indexes_per_user" default:"500" doc:"indexes of the tables of a user together"`

	LiveEvaluationMSPerSec int `toml:"live_evaluation_ms_per_sec" default:"250" doc:"milliseconds that evaluating the live queries of a user may take each second, on average of ten"`
}

// RateLimitConfig is section [rate_limit].
type RateLimitConfig struct {
	MaxQueriesPerSec           int `toml:"max_queries_per_sec" doc:"statements of a user each second; 0: no limit"`
	MaxMessagesPerSec          int `toml:"max_messages_per_sec" default:"1000" doc:"messages of a socket each second"`
	MaxSubscriptionsPerUser    int `toml:"max_subscriptions_per_user" default:"1000" doc:"live queries of a user"`
	MaxAuthRequestsPerIPPerSec int `toml:"max_auth_requests_per_ip_per_sec" default:"20" doc:"requests of an address each second to sign in, of each kind below that says nothing else"`

	MaxLoginRequestsPerIPPerSec      int `toml:"max_login_requests_per_ip_per_sec" doc:"logins and changes of a password of an address each second; 0: max_auth_requests_per_ip_per_sec"`
	MaxRefreshRequestsPerIPPerSec    int `toml:"max_refresh_requests_per_ip_per_sec" doc:"refreshes of an address each second; 0: max_auth_requests_per_ip_per_sec"`
	MaxSocketAuthRequestsPerIPPerSec int `toml:"max_socket_auth_requests_per_ip_per_sec" doc:"sockets of an address each second that fail to sign in; 0: max_auth_requests_per_ip_per_sec"`
	MaxSetupRequestsPerIPPerSec      int `toml:"max_setup_requests_per_ip_per_sec" doc:"setup requests of an address each second; 0: max_auth_requests_per_ip_per_sec"`
}

// AuthRate is what the routes of signing in take.
func (c *RateLimitConfig) AuthRate() server.AuthRate {
	or := func(n int) int { return cmp.Or(n, c.MaxAuthRequestsPerIPPerSec) }
	return server.AuthRate{
		Login: or(c.MaxLoginRequestsPerIPPerSec), Refresh: or(c.MaxRefreshRequestsPerIPPerSec),
		Socket: or(c.MaxSocketAuthRequestsPerIPPerSec), Setup: or(c.MaxSetupRequestsPerIPPerSec),
	}
}

// WebSocketConfig is section [websocket].
type WebSocketConfig struct {
	ClientTimeoutSecs       int `toml:"client_timeout_secs" default:"10" doc:"seconds after which a silent socket is closed"`
	AuthTimeoutSecs         int `toml:"auth_timeout_secs" default:"3" doc:"seconds in which a socket must say who it is"`
	HeartbeatIntervalSecs   int `toml:"heartbeat_interval_secs" default:"5" doc:"seconds between pings"`
	MaxConnections          int `toml:"max_connections" doc:"sockets of the server; 0: as many as the process may have files open, at most 100,000"`
	MaxUnauthenticatedPerIP int `toml:"max_unauthenticated_per_ip" default:"1000" doc:"sockets of an address that have not said yet who they are"`
}

// TopicsConfig is section [topics].
type TopicsConfig struct {
	VisibilityTimeoutSecs         int   `toml:"visibility_timeout_secs" default:"60" doc:"seconds a consumer has for a message before another one gets it"`
	MaxPayloadBytes               int   `toml:"max_payload_bytes" default:"1048576" doc:"bytes of one message"`
	DefaultRetentionSeconds       int64 `toml:"default_retention_seconds" default:"604800" doc:"seconds for which a new topic keeps its messages"`
	DefaultRetentionMaxBytes      int64 `toml:"default_retention_max_bytes" default:"1073741824" doc:"bytes that a new topic keeps in each partition"`
	RetentionCheckIntervalSeconds int   `toml:"retention_check_interval_seconds" default:"10" doc:"seconds between looks for messages to remove"`
}

// FilesConfig is section [files].
type FilesConfig struct {
	MaxSizeBytes       int64    `toml:"max_size_bytes" default:"26214400" doc:"bytes of one file"`
	MaxFilesPerRequest int      `toml:"max_files_per_request" default:"20" doc:"files of one request"`
	MaxRequestBytes    int64    `toml:"max_request_bytes" doc:"bytes of all files of a request; 0: max_size_bytes times max_files_per_request"`
	MaxBytesPerUser    int64    `toml:"max_bytes_per_user" default:"10737418240" doc:"bytes that the files a user has uploaded may have together"`
	MaxFilesPerFolder  int      `toml:"max_files_per_folder" default:"5000" doc:"files in one folder of the data folder"`
	AllowedMIMETypes   []string `toml:"allowed_mime_types" doc:"types of files that are taken, as in image/png or image/*; empty: all"`
}

// LoggingConfig is section [logging].
type LoggingConfig struct {
	Level string `toml:"level" default:"info" doc:"error, warn, info or debug"`
}

// Notes are what an operator should know of how the configuration was given.
func (c *Config) Notes() []Note { return c.notes }

// Each calls fn for every key, by its dotted name.
func (c *Config) Each(fn func(name string, f reflect.Value, tags reflect.StructTag)) {
	var section func(v reflect.Value, prefix string)
	section = func(v reflect.Value, prefix string) {
		for i := range v.NumField() {
			f, tags := v.Field(i), v.Type().Field(i).Tag
			if !v.Type().Field(i).IsExported() {
				continue
			}
			if name := prefix + tags.Get("toml"); f.Kind() == reflect.Struct {
				section(f, name+".")
			} else {
				fn(name, f, tags)
			}
		}
	}
	section(reflect.ValueOf(c).Elem(), "")
}

// keys are the fields by their dotted names.
func (c *Config) keys() map[string]reflect.Value {
	known := make(map[string]reflect.Value)
	c.Each(func(name string, f reflect.Value, _ reflect.StructTag) { known[name] = f })
	return known
}

// WithDefaults is the configuration with every default filled in.
func (c *Config) WithDefaults() (*Config, error) {
	out := *c
	var err error
	out.Each(func(name string, f reflect.Value, tags reflect.StructTag) {
		if value := tags.Get("default"); value != "" && f.IsZero() {
			err = errors.Join(err, set(f, value))
		}
	})
	return &out, err
}

// check refuses values that make no sense.
func (c *Config) check() error {
	if c.Server.Port < 0 || c.Server.Port > 65535 {
		return fmt.Errorf("[server] port: %d is not a port", c.Server.Port)
	}
	levels := []string{"", "error", "warn", "info", "debug"}
	if !slices.Contains(levels, c.Logging.Level) {
		return fmt.Errorf("[logging] level: %q is not error, warn, info or debug", c.Logging.Level)
	}
	if (c.Server.TLSCert == "") != (c.Server.TLSKey == "") {
		return errors.New("[server] tls_cert and tls_key: one needs the other")
	}
	if _, err := c.Proxies(); err != nil {
		return err
	}
	if err := c.checkAccounts(); err != nil {
		return err
	}
	if _, err := c.Origins(); err != nil {
		return err
	}
	for key, f := range c.keys() {
		if f.CanInt() && f.Int() < 0 {
			return fmt.Errorf("%s: %d is negative", key, f.Int())
		}
	}
	return nil
}

// Proxies parses the trusted proxies: networks, or single addresses.
func (c *Config) Proxies() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range c.Security.TrustedProxies {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			var a netip.Addr
			if a, err = netip.ParseAddr(text); err == nil {
				p = netip.PrefixFrom(a, a.BitLen())
			}
		}
		if err != nil {
			return nil, fmt.Errorf("[security] trusted_proxies: %q is no network, as 10.0.0.0/8 is", text)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// IssuerOptions are the options of the trusted issuers.
func (c *AuthConfig) IssuerOptions() []issuer.Options {
	out := make([]issuer.Options, len(c.Issuers))
	for i, o := range c.Issuers {
		out[i] = issuer.Options(o)
	}
	return out
}
