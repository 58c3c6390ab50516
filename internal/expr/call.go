package expr

import (
	"strconv"
	"strings"

	"github.com/kalamdb/kalam-go/internal/dialect"
	"github.com/kalamdb/kalam-go/wire"
)

// special binds a function whose typing is a rule of its own.
type special func(b *binder, name string, args []Node) (Node, error)

// specials are looked up before the table of functions.
var specials = map[string]special{
	"coalesce": bindCoalesce, "nullif": bindNullif, "greatest": bindExtreme, "least": bindExtreme,
	"concat": bindConcat, "age": bindAge,
	"concat_ws": bindConcatWS, "format": bindFormat, "num_nulls": bindNumNulls, "num_nonnulls": bindNumNulls,
	"now": runtime(ArgNow, wire.DateTime), "current_timestamp": runtime(ArgNow, wire.DateTime),
	"transaction_timestamp": runtime(ArgNow, wire.DateTime), "statement_timestamp": runtime(ArgNow, wire.DateTime),
	"localtimestamp": converted(wire.Timestamp), "current_date": converted(wire.Date), "localtime": converted(wire.Time), "current_time": converted(wire.Time),
	"current_user": runtime(ArgUser, wire.Text), "current_user_id": runtime(ArgUser, wire.Text),
	"session_user": runtime(ArgUser, wire.Text), "user": runtime(ArgUser, wire.Text),
	"current_role": runtime(ArgRole, wire.Text),
	"snowflake_id": runtime(ArgNextID, wire.BigInt),
	"json_get":     jsonPath("->", wire.Unknown), "json_get_json": jsonPath("->", wire.Unknown),
	"json_get_array": jsonPath("->", wire.Unknown), "json_get_str": jsonPath("->>", wire.Unknown),
	"json_as_text": jsonPath("->>", wire.Unknown), "json_get_int": jsonPath("->>", wire.BigInt),
	"json_get_float": jsonPath("->>", wire.Double), "json_get_bool": jsonPath("->>", wire.Boolean),
	"json_extract_path": bindExtractPath, "jsonb_extract_path": bindExtractPath,
	"json_extract_path_text": bindExtractPath, "jsonb_extract_path_text": bindExtractPath,
	"json_build_array": bindBuild, "json_build_object": bindBuild, "jsonb_build_array": bindBuild, "jsonb_build_object": bindBuild,
	"json_contains": jsonPath("?", wire.Unknown),
}

func (b *binder) bindCall(x *dialect.Call) (Node, error) {
	name := x.Name[len(x.Name)-1].Name
	if len(x.Name) > 1 && (len(x.Name) > 2 || x.Name[0].Name != "pg_catalog") {
		return nil, errNoFunction(qualified(x.Name), nil, false)
	}
	if x.Over != nil {
		return b.bindWindow(name, x)
	}
	if isAggregate(name) {
		return b.bindAggregate(name, x)
	}
	if instead, ok := notOffered[name]; ok {
		return nil, wire.NewError(wire.CodeUnsupported, name, " is not supported: ", instead)
	}
	if _, ok := windowFunctions[name]; ok {
		return nil, wire.NewError(wire.CodeInvalidSQL, "window function ", name, " requires an OVER clause")
	}
	if x.Star || x.Distinct || x.Filter != nil || len(x.OrderBy) > 0 {
		return nil, wire.NewError(wire.CodeInvalidSQL, name, " is not an aggregate function")
	}
	args, err := b.bindAll(x.Args)
	if err != nil {
		return nil, err
	}
	if s, ok := specials[name]; ok {
		return s(b, name, args)
	}
	f, many := choose(functions[name], kindsOf(args))
	if f == nil && !many {
		f, many = choose(functions[name], openKinds(args))
	}
	if f == nil {
		return nil, errNoFunction(name, args, many)
	}
	return newCall(f, args)
}

// notOffered are functions that people know, and what to do without them.
var notOffered = map[string]string{
	"array_agg": "there are no arrays; json_agg makes a JSON array, string_agg a text",
	"unnest":    noArrays, "array_length": noArrays, "array_to_string": noArrays, "string_to_array": noArrays, "cardinality": noArrays,
	"generate_series":      "it gives several rows; write WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10)",
	"jsonb_array_elements": manyRows, "jsonb_array_elements_text": manyRows, "json_array_elements": manyRows, "json_array_elements_text": manyRows,
	"jsonb_each": manyRows, "jsonb_each_text": manyRows, "json_each": manyRows, "json_each_text": manyRows, "regexp_split_to_table": manyRows,
	"row_to_json": "name the columns in json_build_object",
	"nextval":     noSequences, "currval": noSequences, "setval": noSequences, "lastval": noSequences,
	"pg_sleep": "a statement does not wait",
}

const (
	noArrays    = "there are no arrays; JSON holds lists"
	manyRows    = "it gives several rows; read the JSON by its keys and positions, or keep the elements as rows of a table"
	noSequences = "there are no sequences; a SERIAL column counts by itself, and SNOWFLAKE_ID() gives ids"
)

// openKinds is kindsOf without a look at the values of parameters.
func openKinds(args []Node) []wire.Kind {
	kinds := make([]wire.Kind, len(args))
	for i, a := range args {
		kinds[i] = kindOf(a)
	}
	return kinds
}

func qualified(name dialect.Name) string {
	parts := make([]string, len(name))
	for i, id := range name {
		parts[i] = id.Name
	}
	return strings.Join(parts, ".")
}

func errNoFunction(name string, args []Node, many bool) error {
	types := make([]string, len(args))
	for i, a := range args {
		types[i] = openName(a)
	}
	what := name + "(" + strings.Join(types, ", ") + ")"
	if many {
		return wire.NewError(wire.CodeFunctionNotFound, "function is not unique: ", what)
	}
	e := wire.NewError(wire.CodeFunctionNotFound, "function does not exist: ", what)
	e.Hint = elsewhere[name]
	return e
}

// elsewhere are functions of other databases, and what does the same here.
var elsewhere = map[string]string{
	"ifnull": useCoalesce, "nvl": useCoalesce, "isnull": useCoalesce,
	"if": useCase, "iif": useCase, "decode": useCase,
	"group_concat": useStringAgg, "listagg": useStringAgg,
	"date_add": useInterval, "dateadd": useInterval, "date_sub": useInterval, "datediff": "d1 - d2 is a number of days between dates, age(t1, t2) an interval",
	"strftime": useToChar, "date_format": useToChar, "getdate": "now() is the time", "sysdate": "now() is the time", "curdate": "CURRENT_DATE is the day",
	"year": useExtract, "month": useExtract, "day": useExtract, "hour": useExtract, "unix_timestamp": "extract(epoch FROM t) does this",
	"len": "length(text) does this", "instr": "strpos(text, part) does this", "locate": "strpos(text, part) does this", "charindex": "strpos(text, part) does this",
	"rand": "random() does this", "uuid": "gen_random_uuid() and uuid_v7() do this", "newid": "gen_random_uuid() and uuid_v7() do this",
	"json_extract": "j->'key' and j->>'key' do this", "last_insert_rowid": "INSERT ... RETURNING id does this", "last_insert_id": "INSERT ... RETURNING id does this",
}

const (
	useCoalesce  = "coalesce(a, b) does this"
	useCase      = "CASE WHEN a THEN b ELSE c END does this"
	useStringAgg = "string_agg(text, ',') does this"
	useInterval  = "t + INTERVAL '1 day' does this"
	useToChar    = "to_char(t, 'YYYY-MM-DD') does this"
	useExtract   = "extract(year FROM t) and the like do this"
)

// environment is a value of the statement's surroundings.
type environment struct {
	kind ArgKind
	t    wire.Type
	name string // of the function that gives it
}

func (e *environment) Type() wire.Type { return e.t }

func (e *environment) Eval(env *Env) (wire.Value, error) {
	return Arg{Kind: e.kind}.Resolve(env), nil
}

func (e *environment) print(p *Printer) { p.Arg(Arg{Kind: e.kind, Type: e.t}) }

func runtime(kind ArgKind, k wire.Kind) special {
	return func(_ *binder, name string, args []Node) (Node, error) {
		if len(args) > 1 || len(args) == 1 && (kind != ArgNow || !isInt(kindOf(args[0]))) {
			return nil, errNoFunction(name, args, false)
		}
		n := Node(&environment{kind, typeOf(k), name})
		if len(args) == 0 {
			return n, nil
		}
		m, err := secondsOf(args[0])
		if err != nil {
			return nil, err
		}
		return withModifier(n, m, true)
	}
}

// secondsOf is the precision of CURRENT_TIMESTAMP(p), a constant.
func secondsOf(n Node) (Modifier, error) {
	c, ok := n.(*constant)
	if !ok || c.v.Int() < 0 {
		return 0, wire.NewError(wire.CodeInvalidSQL, "the precision of a time is a number from 0 to 6")
	}
	return Modifier(min(c.v.Int(), maxSeconds) + 1), nil
}

// converted is the statement's start as another kind.
func converted(k wire.Kind) special {
	now := runtime(ArgNow, wire.DateTime)
	return func(b *binder, name string, args []Node) (Node, error) {
		n, err := now(b, name, args)
		if err != nil {
			return nil, err
		}
		return convert(n, typeOf(k), explicit)
	}
}

func needArgs(name string, args []Node, low int) error {
	if len(args) < low {
		return wire.NewError(wire.CodeFunctionNotFound, name, " needs at least ", strconv.Itoa(low), " arguments")
	}
	return nil
}

func bindCoalesce(_ *binder, name string, args []Node) (Node, error) {
	if err := needArgs(name, args, 1); err != nil {
		return nil, err
	}
	args, t, err := unify(args, "COALESCE")
	if err != nil {
		return nil, err
	}
	if len(args) == 1 {
		return args[0], nil
	}
	return &coalesce{args, t}, nil
}

// bindNullif writes NULLIF(a, b) as CASE WHEN a = b THEN NULL ELSE a END.
func bindNullif(_ *binder, name string, args []Node) (Node, error) {
	if len(args) != 2 {
		return nil, errNoFunction(name, args, false)
	}
	a, r, err := resolvePair(args[0], args[1])
	if err != nil {
		return nil, err
	}
	refs, wrap := once(a)
	a = refs[0]
	c, err := newComparison("=", a, r)
	if err != nil {
		return nil, err
	}
	// The result has the type as which a compares, as PostgreSQL has it.
	k := a.Type().Kind
	if class := classOf(k, r.Type().Kind); isNumeric(k) && class != k && !isInt(class) && !isFloat(k) {
		if a, err = convert(a, typeOf(class), implicit); err != nil {
			return nil, err
		}
	}
	return wrap(&choice{
		conds: []Node{c},
		thens: []Node{&constant{t: a.Type()}},
		other: a,
		t:     a.Type(),
	}, noNative), nil
}

// bindExtreme takes GREATEST and LEAST two by two, nested to the logarithm of
// the number of arguments.
func bindExtreme(_ *binder, name string, args []Node) (Node, error) {
	if err := needArgs(name, args, 1); err != nil {
		return nil, err
	}
	args, t, err := unify(args, strings.ToUpper(name))
	if err != nil {
		return nil, err
	}
	if len(args) == 1 {
		return args[0], nil
	}
	f, _ := choose(extremes[name], []wire.Kind{t.Kind, t.Kind})
	if f == nil {
		return nil, errNoFunction(name, args, false)
	}
	return halved(f, args)
}

// extremes are greatest and least of two, NULL only if both are.
var extremes = makeExtremes()

func makeExtremes() table {
	var list []*function
	for _, k := range []wire.Kind{wire.SmallInt, wire.Int, wire.BigInt, wire.Float, wire.Double, wire.Decimal,
		wire.Text, wire.Bytes, wire.UUID, wire.Boolean, wire.Date, wire.Time, wire.Timestamp, wire.DateTime, Interval} {
		for name, sign := range map[string]int{"greatest": 1, "least": -1} {
			class := classOf(k, k)
			list = append(list, &function{name: name, args: []wire.Kind{k, k}, result: k, nulls: true,
				eval: func(a []wire.Value) (wire.Value, error) {
					if a[1].IsNull() || !a[0].IsNull() && sign*compareValues(a[0], a[1], class) >= 0 {
						return a[0], nil
					}
					return a[1], nil
				}})
		}
	}
	return makeTable(list)
}

// bindConcat joins the text of all arguments and leaves NULLs out.
func bindConcat(_ *binder, name string, args []Node) (Node, error) {
	if err := needArgs(name, args, 1); err != nil {
		return nil, err
	}
	empty := &constant{wire.TextValue(""), typeOf(wire.Text)}
	parts := make([]Node, len(args))
	for i, a := range args {
		n, err := concatPart(a)
		if err != nil {
			return nil, err
		}
		parts[i] = &coalesce{[]Node{n, empty}, typeOf(wire.Text)}
	}
	return joinAll(parts)
}

// concatPart is the text of an argument, which for a BOOLEAN is t or f here.
func concatPart(a Node) (Node, error) {
	text := typeOf(wire.Text)
	if kindOf(a) != wire.Boolean {
		return convert(a, text, explicit)
	}
	refs, wrap := once(a)
	return wrap(&choice{
		conds: []Node{refs[0], &not{refs[0]}},
		thens: []Node{&constant{wire.TextValue("t"), text}, &constant{wire.TextValue("f"), text}},
		t:     text,
	}, noNative), nil
}

// joinAll joins texts.
func joinAll(parts []Node) (Node, error) { return halved(concatText, parts) }

// halved applies f, for which the order of its calls does not matter, to all of
// args. It nests to the logarithm of their number.
func halved(f *function, args []Node) (Node, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	half := len(args) / 2
	l, err := halved(f, args[:half])
	if err != nil {
		return nil, err
	}
	r, err := halved(f, args[half:])
	if err != nil {
		return nil, err
	}
	return newCall(f, []Node{l, r})
}
