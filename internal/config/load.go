package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/kalamdb/kalam-go/internal/spell"
)

// shortNames are the variables that do not follow KALAMDB_SECTION_KEY, and the
// keys that they stand for.
var shortNames = map[string]string{
	"KALAMDB_DATA_DIR":                                "storage.data_path",
	"KALAMDB_TOPIC_VISIBILITY_TIMEOUT_SECS":           "topics.visibility_timeout_secs",
	"KALAMDB_VISIBILITY_TIMEOUT_SECS":                 "topics.visibility_timeout_secs",
	"KALAMDB_LOG_LEVEL":                               "logging.level",
	"KALAMDB_JWT_SECRET":                              "auth.jwt_secret",
	"KALAMDB_ROOT_PASSWORD":                           "auth.root_password",
	"KALAMDB_ALLOW_REMOTE_SETUP":                      "auth.allow_remote_setup",
	"KALAMDB_RATE_LIMIT_AUTH_REQUESTS_PER_IP_PER_SEC": "rate_limit.max_auth_requests_per_ip_per_sec",
}

// Note is a warning about the configuration.
type Note struct{ Text, About string }

// Load reads the file, if path is not "", and then the environment, which
// wins. It takes what KalamDB 0.4 takes: its keys that mean nothing here are
// noted for a warning of Start. It refuses every unknown key of the file, and
// variables whose names are nearly those of a key. environ is os.Environ in
// programs.
func Load(path string, environ []string) (*Config, error) {
	c := new(Config)
	unused := new([]string)
	if path != "" {
		if err := c.readFile(path, unused); err != nil {
			return nil, err
		}
	}
	if err := c.readVariables(environ, unused); err != nil {
		return nil, err
	}
	if len(*unused) > 0 {
		c.notes = append(c.notes, Note{"the configuration has keys of KalamDB 0.4 that mean nothing here; docs/compatibility.md says why, and what to use instead", grouped(*unused)})
	}
	if c.Logging.Level == "trace" { // the finest one of KalamDB 0.4
		c.Logging.Level = "debug"
	}
	return c, c.check()
}

// readFile reads the configuration file, and appends the keys in it that mean
// nothing here to unused.
func (c *Config) readFile(path string, unused *[]string) error {
	file := struct {
		Config
		Authentication AuthConfig `toml:"authentication"` // what KalamDB 0.4 calls [auth], too
	}{}
	meta, err := toml.DecodeFile(path, &file)
	if err != nil {
		var parse toml.ParseError
		if errors.As(err, &parse) {
			return fmt.Errorf("%s: line %d: %s", path, parse.Position.Line, parse.Message)
		}
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("the configuration file %s does not exist", path)
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	*c = file.Config
	if meta.IsDefined("authentication") {
		if meta.IsDefined("auth") {
			return fmt.Errorf("%s: [auth] and [authentication] are two names of one section: keep one", path)
		}
		c.Auth = file.Authentication
	}
	if isSample(c.Auth.JWTSecret) {
		c.Auth.JWTSecret = ""
		c.notes = append(c.notes, Note{"the file has the sample of a token secret, which everybody knows: it is not used, and tokens are signed with a key pair", "[auth] jwt_secret"})
	}
	var all map[string]any
	if _, err := toml.DecodeFile(path, &all); err != nil {
		return err
	}
	known := c.keys()
	var unknown []string
	for _, k := range leaves(meta.Undecoded()) {
		if k[0] == "authentication" {
			k = slices.Concat(toml.Key{"auth"}, k[1:])
			all["auth"] = all["authentication"]
		}
		key := strings.Join(k, ".")
		old := oldKeyOf(key)
		if old == nil {
			unknown = append(unknown, bracketed(key)+": "+hint(key, known))
			continue
		}
		if old.ours != "" && old.convert != nil && meta.IsDefined(strings.Split(old.ours, ".")...) {
			return fmt.Errorf("%s: %s and %s set the same: keep one", path, bracketed(key), bracketed(old.ours))
		}
		if err := c.take(old, key, textOf(valueAt(all, k)), unused); err != nil {
			return fmt.Errorf("%s: %s: %w", path, bracketed(key), err)
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("%s has unknown keys:\n  %s", path, strings.Join(unknown, "\n  "))
	}
	return nil
}

// take gives an old key's value to the key that has taken its place, or appends
// the old key to unused.
func (c *Config) take(old *oldKey, key, value string, unused *[]string) error {
	if old.convert == nil {
		*unused = append(*unused, key)
		return nil
	}
	value, err := old.convert(value)
	if err != nil || old.ours == "" {
		return err
	}
	return set(c.keys()[old.ours], value)
}

// leaves are the keys that are no section of others in the list, each once.
func leaves(keys []toml.Key) []toml.Key {
	var out []toml.Key
	for i, k := range keys {
		below := func(o toml.Key) bool { return len(o) > len(k) && slices.Equal(o[:len(k)], k) }
		again := func(o toml.Key) bool { return slices.Equal(o, k) }
		if !slices.ContainsFunc(keys, below) && !slices.ContainsFunc(keys[:i], again) {
			out = append(out, k)
		}
	}
	return out
}

// valueAt is the value of a key in a decoded file; nil inside a list of tables.
func valueAt(all map[string]any, key toml.Key) any {
	var v any = all
	for _, part := range key {
		section, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = section[part]
	}
	return v
}

// textOf is a value of the file as a variable says it.
func textOf(v any) string {
	list, ok := v.([]any)
	if !ok {
		return fmt.Sprint(v)
	}
	texts := make([]string, len(list))
	for i := range list {
		texts[i] = fmt.Sprint(list[i])
	}
	return strings.Join(texts, ",")
}

// bracketed is a key as people look for it in a file: [section] key.
func bracketed(key string) string {
	i := strings.LastIndexByte(key, '.')
	if i < 0 {
		return key
	}
	return "[" + key[:i] + "] " + key[i+1:]
}

// grouped lists keys with each section named once, in the order of the list.
func grouped(keys []string) string {
	var b strings.Builder
	last := ""
	for i, key := range keys {
		at := strings.LastIndexByte(key, '.') + 1
		switch section := key[:at]; {
		case i > 0 && at > 0 && section == last:
			b.WriteString(", " + key[at:])
		case i > 0:
			b.WriteString("; " + bracketed(key))
		default:
			b.WriteString(bracketed(key))
		}
		last = key[:at]
	}
	return b.String()
}

// hint says what may have been meant by an unknown key of the file.
func hint(key string, known map[string]reflect.Value) string {
	section, name := "", key
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		section, name = key[:i], key[i+1:]
	}
	if strings.HasPrefix(section, "auth.issuers") {
		return "docs/authentication.md describes [[auth.issuers]]"
	}
	var all, names, sections, elsewhere []string
	for _, k := range sorted(known) {
		i := strings.LastIndexByte(k, '.')
		all = append(all, k)
		if k[:i] == section {
			names = append(names, k[i+1:])
		}
		if k[i+1:] == name {
			elsewhere = append(elsewhere, k)
		}
		if !slices.Contains(sections, k[:i]) {
			sections = append(sections, k[:i])
		}
	}
	near, edits := spell.Nearest(key, all)
	switch {
	case edits <= 3:
		return "did you mean " + bracketed(near) + "?"
	case len(elsewhere) > 0:
		return "did you mean " + bracketed(elsewhere[0]) + "?"
	case len(names) > 0:
		return "[" + section + "] has " + strings.Join(names, ", ")
	case section == "":
		return "every key is in a section: [" + strings.Join(sections, "], [") + "]"
	}
	if near, edits := spell.Nearest(section, sections); edits <= 2 {
		return "did you mean section [" + near + "]?"
	}
	return "the sections are [" + strings.Join(sections, "], [") + "]"
}

func sorted(known map[string]reflect.Value) []string { return slices.Sorted(maps.Keys(known)) }

// readVariables reads the environment, and appends variables that mean nothing
// here to unused.
func (c *Config) readVariables(environ []string, unused *[]string) error {
	known := c.keys()
	names := make(map[string]string, len(known)) // keys by their variables
	for key := range known {
		names[variable(key)] = key
	}
	maps.Copy(names, shortNames)
	ours := slices.Sorted(maps.Keys(names))
	maps.Copy(names, oldVariables())

	type given struct{ name, value string }
	by := make(map[string]given) // what has set a key
	var unknown, refused []string
	for _, entry := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "KALAMDB_") {
			continue
		}
		key, ok := names[name]
		if !ok {
			switch near, edits := spell.Nearest(name, ours); {
			case edits <= 2:
				refused = append(refused, fmt.Sprintf("there is no variable %s: did you mean %s?", name, near))
			case edits < 8:
				unknown = append(unknown, name+" (did you mean "+near+"?)")
			default:
				unknown = append(unknown, name+" (a key [section] key has the variable KALAMDB_SECTION_KEY)")
			}
			continue
		}
		old := oldKeyOf(key)
		f, isOurs := known[key]
		if !isOurs && old.convert == nil {
			*unused = append(*unused, name)
			continue
		}
		target := key
		if !isOurs {
			target = old.ours
		}
		if before, ok := by[target]; ok && before.value != value {
			return fmt.Errorf("the variables %s and %s set the same: keep one", before.name, name)
		}
		by[target] = given{name, value}
		var err error
		if isOurs {
			err = set(f, value)
		} else {
			err = c.take(old, key, value, unused)
		}
		if err != nil {
			return fmt.Errorf("variable %s: %w", name, err)
		}
	}
	if len(refused) > 0 {
		return errors.New(strings.Join(refused, "\n"))
	}
	if len(unknown) > 0 {
		c.notes = append(c.notes, Note{"there are variables that mean nothing here", strings.Join(unknown, ", ")})
	}
	return nil
}

// variable is the variable of a key.
func variable(key string) string {
	return "KALAMDB_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// set gives a key its value as a variable says it.
func set(f reflect.Value, value string) error {
	switch f.Kind() {
	case reflect.String:
		f.SetString(value)
	case reflect.Bool:
		b, err := parseBool(value)
		if err != nil {
			return err
		}
		f.SetBool(b)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", value)
		}
		f.SetInt(n)
	case reflect.Slice:
		if f.Type().Elem().Kind() != reflect.String {
			return errors.New("it is set in the configuration file only")
		}
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

func parseBool(value string) (bool, error) {
	switch strings.ToLower(value) {
	case "yes":
		return true, nil
	case "no":
		return false, nil
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		return false, fmt.Errorf("%q is not true or false", value)
	}
	return b, nil
}
