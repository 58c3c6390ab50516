package node

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// Config is everything an operator can set. The zero value of a key means its
// default, which its comment says.
type Config struct {
	Server    ServerConfig    `toml:"server"`
	Storage   StorageConfig   `toml:"storage"`
	Auth      AuthConfig      `toml:"auth"`
	Security  SecurityConfig  `toml:"security"`
	Limits    LimitsConfig    `toml:"limits"`
	RateLimit RateLimitConfig `toml:"rate_limit"`
	WebSocket WebSocketConfig `toml:"websocket"`
	Logging   LoggingConfig   `toml:"logging"`
}

// ServerConfig is section [server].
type ServerConfig struct {
	Host string `toml:"host"` // "localhost": 127.0.0.1 and, where there is one, [::1]
	Port int    `toml:"port"` // 8080
}

// StorageConfig is section [storage].
type StorageConfig struct {
	DataPath       string `toml:"data_path"`         // "./data"
	LogMaxAgeHours int    `toml:"log_max_age_hours"` // changes kept for resuming: 168
	LogMaxBytes    int64  `toml:"log_max_bytes"`     // and at most 1 GiB of them
}

// AuthConfig is section [auth].
type AuthConfig struct {
	RootPassword      string `toml:"root_password"`       // of root, until it has one
	JWTSecret         string `toml:"jwt_secret"`          // sign with HS256 and this; else with a key pair
	JWTExpiryMinutes  int    `toml:"jwt_expiry_minutes"`  // of an access token: 60
	MinPasswordLength int    `toml:"min_password_length"` // 8
	AllowRemoteSetup  bool   `toml:"allow_remote_setup"`
}

// SecurityConfig is section [security].
type SecurityConfig struct {
	CORS                CORSConfig `toml:"cors"`
	MaxRequestBodySize  int64      `toml:"max_request_body_size"` // 10 MiB
	MaxWebSocketMessage int        `toml:"max_ws_message_size"`   // 1 MiB
}

// CORSConfig is section [security.cors].
type CORSConfig struct {
	AllowedOrigins []string `toml:"allowed_origins"` // empty: same origin, and this machine's pages while on loopback
}

// LimitsConfig is section [limits].
type LimitsConfig struct {
	MaxRows          int `toml:"max_rows"`          // of one result: 100,000
	MaxResultBytes   int `toml:"max_result_bytes"`  // in memory: 64 MiB
	StatementTimeout int `toml:"statement_timeout"` // seconds a read may take: 30
	WriteTimeout     int `toml:"write_timeout"`     // seconds a write may take: 5
}

// RateLimitConfig is section [rate_limit].
type RateLimitConfig struct {
	MaxQueriesPerSec           int `toml:"max_queries_per_sec"`              // of a user: 0, no limit
	MaxMessagesPerSec          int `toml:"max_messages_per_sec"`             // of a socket: 1,000
	MaxSubscriptionsPerUser    int `toml:"max_subscriptions_per_user"`       // 1,000
	MaxAuthRequestsPerIPPerSec int `toml:"max_auth_requests_per_ip_per_sec"` // 20
}

// WebSocketConfig is section [websocket].
type WebSocketConfig struct {
	ClientTimeoutSecs     int `toml:"client_timeout_secs"`     // 10
	AuthTimeoutSecs       int `toml:"auth_timeout_secs"`       // 3
	HeartbeatIntervalSecs int `toml:"heartbeat_interval_secs"` // 5
}

// LoggingConfig is section [logging].
type LoggingConfig struct {
	Level string `toml:"level"` // error, warn, info or debug: info
}

// shortNames are the variables that do not follow KALAMDB_SECTION_KEY.
var shortNames = map[string]string{
	"KALAMDB_DATA_DIR":                                "storage.data_path",
	"KALAMDB_LOG_LEVEL":                               "logging.level",
	"KALAMDB_JWT_SECRET":                              "auth.jwt_secret",
	"KALAMDB_ROOT_PASSWORD":                           "auth.root_password",
	"KALAMDB_ALLOW_REMOTE_SETUP":                      "auth.allow_remote_setup",
	"KALAMDB_RATE_LIMIT_AUTH_REQUESTS_PER_IP_PER_SEC": "rate_limit.max_auth_requests_per_ip_per_sec",
}

// LoadConfig reads the file, if path is not "", and then the environment, which
// wins. getenv is os.Environ in programs.
func LoadConfig(path string, environ []string) (*Config, error) {
	c := new(Config)
	if path != "" {
		meta, err := toml.DecodeFile(path, c)
		if err != nil {
			var parse toml.ParseError
			if errors.As(err, &parse) {
				return nil, fmt.Errorf("%s: line %d: %s", path, parse.Position.Line, parse.Message)
			}
			if errors.Is(err, os.ErrNotExist) {
				return nil, fmt.Errorf("the configuration file %s does not exist", path)
			}
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if keys := meta.Undecoded(); len(keys) > 0 {
			return nil, fmt.Errorf("%s: unknown key %s", path, keys[0])
		}
	}
	known := make(map[string]reflect.Value)
	fields(reflect.ValueOf(c).Elem(), "", known)
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "KALAMDB_") {
			continue
		}
		key, ok := shortNames[name]
		if !ok {
			key = keyOf(name, known)
		}
		if f, ok := known[key]; ok {
			if err := set(f, value); err != nil {
				return nil, fmt.Errorf("variable %s: %w", name, err)
			}
		}
	}
	return c, c.check()
}

// fields collects the keys of a section by their dotted names.
func fields(v reflect.Value, prefix string, into map[string]reflect.Value) {
	for i := range v.NumField() {
		name := prefix + v.Type().Field(i).Tag.Get("toml")
		if f := v.Field(i); f.Kind() == reflect.Struct {
			fields(f, name+".", into)
		} else {
			into[name] = f
		}
	}
}

// keyOf finds the key that KALAMDB_SECTION_KEY names.
func keyOf(variable string, known map[string]reflect.Value) string {
	for key := range known {
		if variable == "KALAMDB_"+strings.ToUpper(strings.ReplaceAll(key, ".", "_")) {
			return key
		}
	}
	return ""
}

func set(f reflect.Value, value string) error {
	switch f.Kind() {
	case reflect.String:
		f.SetString(value)
	case reflect.Bool:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q is not true or false", value)
		}
		f.SetBool(b)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", value)
		}
		f.SetInt(n)
	case reflect.Slice:
		var list []string
		for _, s := range strings.Split(value, ",") {
			if s = strings.TrimSpace(s); s != "" {
				list = append(list, s)
			}
		}
		f.Set(reflect.ValueOf(list))
	}
	return nil
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
	known := make(map[string]reflect.Value)
	fields(reflect.ValueOf(c).Elem(), "", known)
	for key, f := range known {
		if f.CanInt() && f.Int() < 0 {
			return fmt.Errorf("%s: %d is negative", key, f.Int())
		}
	}
	return nil
}
