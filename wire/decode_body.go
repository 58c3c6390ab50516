package wire

import "strconv"

const badPayload = "Invalid JSON payload: "

// DecodeRequest reads the JSON body of POST /v1/api/sql. Members it does not
// know are ignored; of a repeated member the last one counts.
func DecodeRequest(b []byte) (*Request, *Error) {
	r := newReader(b, false)
	req := &Request{}
	var hasSQL bool
	var bad *Error // a parameter; broken JSON after it weighs more
	first, key := true, ""
	if r.open('{', "an object") {
		for r.member(&first, &key) {
			switch key {
			case "sql":
				hasSQL = !r.null()
				req.SQL = ""
				if hasSQL {
					req.SQL = r.str("a string for sql")
				}
			case "namespace_id":
				req.Namespace = ""
				if !r.null() {
					req.Namespace = r.str("a string for namespace_id")
				}
			case "params":
				req.Params, bad = r.params()
			case "statements":
				req.Statements, req.IsBatch = nil, false
				if !r.null() {
					req.IsBatch = true
					req.Statements, bad = r.statements()
				}
			default:
				r.skip()
			}
		}
	}
	if err := r.err(CodeInvalidInput, badPayload); err != nil {
		return nil, err
	}
	switch {
	case hasSQL && req.IsBatch:
		return nil, NewError(CodeInvalidInput, badPayload, "sql and statements exclude each other")
	case !hasSQL && !req.IsBatch:
		return nil, NewError(CodeInvalidInput, badPayload, "missing field `sql`")
	case req.IsBatch && len(req.Params) > 0:
		return nil, NewError(CodeInvalidInput, badPayload, "params belong into the entries of statements")
	case bad != nil:
		return nil, bad
	}
	return req, nil
}

func (r *reader) statements() ([]Statement, *Error) {
	out := []Statement{}
	var bad *Error
	first := true
	if !r.open('[', "an array for statements") {
		return nil, nil
	}
	for r.element(&first) {
		if len(out) == maxStatements {
			r.fail("more than " + itoa(maxStatements) + " statements")
			return nil, nil
		}
		var s Statement
		var hasSQL bool
		begin, key := true, ""
		if !r.open('{', "an object in statements") {
			return nil, nil
		}
		for r.member(&begin, &key) {
			switch key {
			case "sql":
				s.SQL, hasSQL = r.str("a string for sql"), true
			case "params":
				var err *Error
				s.Params, err = r.params()
				if err != nil && bad == nil {
					err.Statement = len(out) + 1
					bad = err
				}
			default:
				r.skip()
			}
		}
		if !hasSQL {
			r.fail("missing field `sql` in statements")
			return nil, nil
		}
		out = append(out, s)
	}
	return out, bad
}

// DecodeParams reads the JSON array of the part "params" of a form; null is
// none. The error has code INVALID_PARAMETER.
func DecodeParams(b []byte) ([]Value, *Error) {
	r := newReader(b, false)
	params, bad := r.params()
	if err := r.err(CodeInvalidParameter, "params is no JSON array: "); err != nil {
		return nil, err
	}
	return params, bad
}

// params reads an array of parameters. A refused one is reported, and the rest
// is still read.
func (r *reader) params() ([]Value, *Error) {
	if r.null() {
		return nil, nil
	}
	var out []Value
	var bad *Error
	first := true
	if !r.open('[', "an array for params") {
		return nil, nil
	}
	for r.element(&first) {
		v, nested := r.value()
		n := len(out) + 1
		if nested {
			var ok bool
			if v, ok = paramBytes(v.str); !ok && bad == nil {
				bad = NewError(CodeInvalidParameter, "Parameter $", itoa(n), " invalid: arrays and objects are not supported, pass their JSON text")
			}
		}
		if n > maxParams {
			if bad == nil {
				bad = NewError(CodeInvalidParameter, "Parameter $", itoa(n), " invalid: the limit is ", itoa(maxParams), " parameters")
			}
			continue
		}
		out = append(out, v)
	}
	return out, bad
}

// paramBytes reads the parameter {"$bytes": "aGk="}.
func paramBytes(text string) (Value, bool) {
	r := &reader{s: text, keep: true}
	first, key := true, ""
	if !r.open('{', "an object") || !r.member(&first, &key) || key != bytesMember {
		return Null, false
	}
	content, ok := decodeBase64(r.str("base64"))
	return Value{tag: TagBytes, str: content}, ok && !r.member(&first, &key) && r.why == ""
}

// DecodeResponse reads an answer of POST /v1/api/sql and gives its cells the
// form of their column types. The values share the memory of one copy of b.
func DecodeResponse(b []byte) (*Response, error) {
	r := newReader(b, true)
	resp := &Response{}
	var status string
	first, key := true, ""
	if r.open('{', "an object") {
		for r.member(&first, &key) {
			switch key {
			case "status":
				status = r.str("a string for status")
			case "results":
				resp.Results = r.results()
			case "took":
				v, _ := r.value()
				resp.Took = v.Float()
			case "error":
				resp.Err = r.errorBody()
			default:
				r.skip()
			}
		}
	}
	if err := r.err(CodeProtocol, "invalid answer: "); err != nil {
		return nil, err
	}
	switch {
	case status != "success" && status != "error":
		return nil, NewError(CodeProtocol, "invalid answer: no status")
	case status == "success":
		resp.Err = nil
	case resp.Err == nil:
		resp.Err = NewError(CodeInternal, "the server reported an error without saying which")
	}
	return resp, nil
}

func (r *reader) results() []Result {
	if r.null() || !r.open('[', "an array for results") {
		return nil
	}
	out := []Result{}
	first := true
	for r.element(&first) {
		out = append(out, r.result())
	}
	return out
}

func (r *reader) result() Result {
	var res Result
	first, key := true, ""
	if !r.open('{', "an object in results") {
		return res
	}
	for r.member(&first, &key) {
		switch key {
		case "schema":
			res.Schema = r.schema()
		case "rows":
			res.Rows = r.rows(len(res.Schema))
		case "row_count":
			res.RowCount = r.count("a number for row_count")
		case "message":
			if !r.null() {
				res.Message = r.str("a string for message")
			}
		case "as_user":
			if !r.null() {
				res.AsUser = r.str("a string for as_user")
			}
		default:
			r.skip()
		}
	}
	for _, row := range res.Rows {
		for i := range row {
			if i < len(res.Schema) {
				row[i] = TypeCell(res.Schema[i].Type, row[i])
			}
		}
	}
	return res
}

// rows reads rows of cells. They lie side by side in blocks of many rows.
func (r *reader) rows(width int) [][]Value {
	if r.null() || !r.open('[', "an array for rows") {
		return nil
	}
	out := [][]Value{}
	var block []Value
	first := true
	for r.element(&first) {
		if cap(block)-len(block) < width {
			block = make([]Value, 0, width*min(max(len(out), 4), 256))
		}
		start, begin := len(block), true
		if !r.open('[', "an array in rows") {
			return out
		}
		for r.element(&begin) {
			v, _ := r.value()
			block = append(block, v)
		}
		out = append(out, block[start:len(block):len(block)])
	}
	return out
}

func (r *reader) schema() []Field {
	if r.null() || !r.open('[', "an array for schema") {
		return nil
	}
	out := []Field{}
	first := true
	for r.element(&first) {
		f := Field{Index: len(out)}
		begin, key := true, ""
		if !r.open('{', "an object in schema") {
			return nil
		}
		for r.member(&begin, &key) {
			switch key {
			case "name":
				f.Name = r.str("a string for name")
			case "data_type":
				f.Type = r.dataType()
			case "index":
				f.Index = r.count("a number for index")
			case "flags":
				f.Flags = r.flags()
			default:
				r.skip()
			}
		}
		out = append(out, f)
	}
	return out
}

// dataType reads a type. One that we do not know is Unknown, whose cells keep
// the form that JSON gave them.
func (r *reader) dataType() Type {
	if r.peek() == '"' {
		k, _ := KindOf(r.text())
		return Type{Kind: k}
	}
	if r.peek() != '{' {
		r.skip()
		return Type{}
	}
	var t Type
	first, key := true, ""
	r.open('{', "a type")
	for r.member(&first, &key) {
		switch {
		case key == "Embedding" && r.peek() != '{':
			t = Type{Kind: Embedding, Dim: uint16(min(r.count("a number"), 1<<16-1))}
		case key == "Decimal" && r.peek() == '{':
			t = r.decimal()
		default:
			r.skip()
		}
	}
	return t
}

func (r *reader) decimal() Type {
	t := Type{Kind: Decimal}
	first, key := true, ""
	r.open('{', "a type")
	for r.member(&first, &key) {
		switch key {
		case "precision":
			t.Precision = uint8(min(r.count("a number"), 255))
		case "scale":
			t.Scale = uint8(min(r.count("a number"), 255))
		default:
			r.skip()
		}
	}
	return t
}

func (r *reader) flags() Flags {
	var flags Flags
	if r.null() || !r.open('[', "an array for flags") {
		return 0
	}
	first := true
	for r.element(&first) {
		v, _ := r.value()
		for _, e := range flagNames {
			if v.Text() == e.name {
				flags |= e.flag
			}
		}
	}
	return flags
}

func (r *reader) errorBody() *Error {
	if r.null() {
		return nil
	}
	e := &Error{}
	first, key := true, ""
	if !r.open('{', "an object for error") {
		return nil
	}
	for r.member(&first, &key) {
		v, _ := r.value()
		switch key {
		case "code":
			e.Code = Code(v.Text())
		case "message":
			e.Message = v.Text()
		case "details":
			e.Details = v.Text()
		case "hint":
			e.Hint = v.Text()
		case "statement":
			e.Statement = int(v.Int())
		case "line":
			e.Line = int(v.Int())
		case "column":
			e.Column = int(v.Int())
		}
	}
	return e
}

// TypeCell gives a cell in the form that JSON had it the form of its type. What
// does not fit the type stays as it is.
func TypeCell(t Type, v Value) Value {
	switch t.Kind {
	case SmallInt, Int, BigInt, Timestamp, DateTime, Date, Time:
		if v.tag == TagText {
			if n, err := strconv.ParseInt(v.str, 10, 64); err == nil {
				return IntValue(n)
			}
		}
	case Float, Double:
		switch v.tag {
		case TagInt:
			return FloatValue(v.Float())
		case TagText:
			if f, err := strconv.ParseFloat(v.str, 64); err == nil {
				return FloatValue(f)
			}
		}
	case Decimal:
		switch v.tag {
		case TagInt:
			return TextValue(strconv.FormatInt(v.Int(), 10))
		case TagFloat:
			return TextValue(strconv.FormatFloat(v.Float(), 'f', -1, 64))
		}
	case Text, JSON, UUID, File:
	case Bytes:
		if b, ok := numbers(v); ok {
			out := make([]byte, len(b))
			for i, f := range b {
				if f < 0 || f > 255 {
					return v
				}
				out[i] = byte(f)
			}
			return BytesValue(out)
		}
	case Embedding:
		if b, ok := numbers(v); ok {
			out := make([]float32, len(b))
			for i, f := range b {
				out[i] = float32(f)
			}
			return EmbeddingValue(out)
		}
	}
	return v
}

// numbers reads the JSON text of an array of numbers.
func numbers(v Value) ([]float64, bool) {
	if v.tag != TagText || len(v.str) < 2 || v.str[0] != '[' {
		return nil, false
	}
	r := &reader{s: v.str, keep: true}
	r.open('[', "an array")
	out := make([]float64, 0, len(v.str)/4)
	first := true
	for r.element(&first) {
		v, _ := r.value()
		f, ok := v.Float(), v.tag == TagInt || v.tag == TagFloat
		if v.tag == TagText { // NaN, or digits that a float rounds
			var err error
			f, err = strconv.ParseFloat(v.str, 64)
			ok = err == nil
		}
		if !ok {
			return nil, false
		}
		out = append(out, f)
	}
	return out, r.why == "" && r.i == len(r.s)
}
