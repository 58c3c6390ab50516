package wire

import (
	"strconv"
	"unicode/utf8"
)

// AppendRequest appends the body of POST /v1/api/sql.
func AppendRequest(dst []byte, r *Request) []byte {
	if r.IsBatch {
		dst = append(dst, `{"statements":[`...)
		for i := range r.Statements {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendStatement(dst, r.Statements[i].SQL, r.Statements[i].Params)
			dst = append(dst, '}')
		}
		dst = append(dst, ']')
	} else {
		dst = appendStatement(dst, r.SQL, r.Params)
	}
	if r.Namespace != "" {
		dst = append(dst, `,"namespace_id":`...)
		dst = AppendString(dst, r.Namespace)
	}
	return append(dst, '}')
}

func appendStatement(dst []byte, sql string, params []Value) []byte {
	dst = append(dst, `{"sql":`...)
	dst = AppendString(dst, sql)
	if len(params) > 0 {
		dst = append(dst, `,"params":`...)
		dst = AppendParams(dst, params)
	}
	return dst
}

// AppendResponse appends the body of an answer of POST /v1/api/sql.
func AppendResponse(dst []byte, r *Response) []byte {
	dst, _ = appendResponse(dst, r, nil)
	return dst
}

// WriteResponse is AppendResponse for answers of any size: whenever dst has more
// than some bytes it is given to write, and begins anew. It returns what is left
// to write. The rows are gone afterwards, each as soon as it is in dst. It stops
// at the first error of write.
func WriteResponse(dst []byte, r *Response, write func([]byte) error) ([]byte, error) {
	return appendResponse(dst, r, write)
}

// writeAbove is how many bytes WriteResponse gathers.
const writeAbove = 32 << 10

func appendResponse(dst []byte, r *Response, write func([]byte) error) ([]byte, error) {
	if r.Err != nil {
		dst = append(dst, `{"status":"error","results":[`...)
	} else {
		dst = append(dst, `{"status":"success","results":[`...)
	}
	for i := range r.Results {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendResult(dst, &r.Results[i], write); err != nil {
			return dst, err
		}
	}
	dst = append(dst, `],"took":`...)
	dst = strconv.AppendFloat(dst, r.Took, 'f', 3, 64)
	if r.Err != nil {
		dst = append(dst, `,"error":`...)
		dst = AppendError(dst, r.Err)
	}
	return append(dst, '}'), nil
}

// AppendResult appends the answer to one statement.
func AppendResult(dst []byte, r *Result) []byte {
	dst, _ = appendResult(dst, r, nil)
	return dst
}

func appendResult(dst []byte, r *Result, write func([]byte) error) ([]byte, error) {
	dst = append(dst, '{')
	if len(r.Schema) > 0 {
		dst = append(dst, `"schema":`...)
		dst = AppendSchema(dst, r.Schema)
		dst = append(dst, `,"rows":[`...)
		for i, row := range r.Rows {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = appendCells(dst, r.Schema, row, write); err != nil {
				return dst, err
			}
			if write != nil {
				r.Rows[i] = nil
			}
		}
		dst = append(dst, ']', ',')
	}
	dst = append(dst, `"row_count":`...)
	dst = strconv.AppendInt(dst, int64(r.RowCount), 10)
	if r.Message != "" {
		dst = append(dst, `,"message":`...)
		dst = AppendString(dst, r.Message)
	}
	dst = append(dst, `,"as_user":`...)
	dst = AppendString(dst, r.AsUser)
	return append(dst, '}'), nil
}

func appendCells(dst []byte, schema []Field, row []Value, write func([]byte) error) ([]byte, error) {
	dst = append(dst, '[')
	for i, v := range row {
		if i > 0 {
			dst = append(dst, ',')
		}
		var t Type
		if i < len(schema) {
			t = schema[i].Type
		}
		var err error
		if write != nil && len(v.str) > writeAbove && t.Kind != Embedding {
			dst, err = writeLarge(dst, v, write)
		} else if dst = AppendCell(dst, t, v); write != nil {
			dst, err = writeFull(dst, write)
		}
		if err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

// writeFull writes dst once it has many bytes.
func writeFull(dst []byte, write func([]byte) error) ([]byte, error) {
	if len(dst) <= writeAbove {
		return dst, nil
	}
	err := write(dst)
	return dst[:0], err
}

// writeLarge is AppendCell for a large text or blob, in pieces.
func writeLarge(dst []byte, v Value, write func([]byte) error) ([]byte, error) {
	left, right, appendPiece := byte('"'), byte('"'), appendEscaped
	if v.tag == TagBytes {
		left, right, appendPiece = '[', ']', appendNumbers
	}
	dst = append(dst, left)
	for rest := v.str; rest != ""; {
		n := min(len(rest), writeAbove)
		for n < len(rest) && n > writeAbove-utf8.UTFMax && !utf8.RuneStart(rest[n]) {
			n--
		}
		dst = appendPiece(dst, rest[:n])
		if rest = rest[n:]; rest != "" && v.tag == TagBytes {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = writeFull(dst, write); err != nil {
			return dst, err
		}
	}
	return append(dst, right), nil
}

// AppendError appends the object under "error" of a failed answer.
func AppendError(dst []byte, e *Error) []byte {
	dst = append(dst, `{"code":`...)
	dst = AppendString(dst, string(e.Code))
	dst = append(dst, `,"message":`...)
	dst = AppendString(dst, e.Message)
	if e.Details != "" {
		dst = append(dst, `,"details":`...)
		dst = AppendString(dst, e.Details)
	}
	dst = appendPositive(dst, `,"statement":`, e.Statement)
	dst = appendPositive(dst, `,"line":`, e.Line)
	dst = appendPositive(dst, `,"column":`, e.Column)
	if e.Hint != "" {
		dst = append(dst, `,"hint":`...)
		dst = AppendString(dst, e.Hint)
	}
	return append(dst, '}')
}

func appendPositive(dst []byte, key string, n int) []byte {
	if n <= 0 {
		return dst
	}
	dst = append(dst, key...)
	return strconv.AppendInt(dst, int64(n), 10)
}
