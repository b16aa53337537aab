// JSON from PostgreSQL's binary values.
package main

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/valyala/fasthttp"
)

// From 1970-01-01 to 2000-01-01, where PostgreSQL counts from.
const epochMicros = 946_684_800_000_000

// Writes the columns of a task in their order.
func appendTask(out []byte, values [][]byte) []byte {
	out = appendID(append(out, `{"id":`...), values[0])
	out = appendID(append(out, `,"user_id":`...), values[1])
	out = appendString(append(out, `,"title":`...), values[2])
	out = appendString(append(out, `,"description":`...), values[3])
	out = appendString(append(out, `,"status":`...), values[4])
	out = appendString(append(out, `,"priority":`...), values[5])
	out = appendInstant(append(out, `,"due_at":`...), values[6])
	out = appendInstant(append(out, `,"created_at":`...), values[7])
	out = appendInstant(append(out, `,"updated_at":`...), values[8])
	return append(out, '}')
}

func appendID(out, id []byte) []byte {
	out = append(out, '"')
	for position, end := range [...]int{4, 6, 8, 10, 16} {
		if position > 0 {
			out = append(out, '-')
		}
		out = hex.AppendEncode(out, id[[...]int{0, 4, 6, 8, 10}[position]:end])
	}
	return append(out, '"')
}

// A value of nil is null.
func appendInstant(out, value []byte) []byte {
	if value == nil {
		return append(out, "null"...)
	}
	micros := int64(binary.BigEndian.Uint64(value))
	return appendTime(out, time.UnixMicro(micros+epochMicros))
}

func appendTime(out []byte, instant time.Time) []byte {
	return instant.UTC().AppendFormat(out, `"2006-01-02T15:04:05.000000Z"`)
}

// A value of nil is null. Other texts are UTF-8.
func appendString(out, text []byte) []byte {
	const digits = "0123456789abcdef"
	if text == nil {
		return append(out, "null"...)
	}
	out = append(out, '"')
	written := 0
	for position, char := range text {
		if char >= ' ' && char != '"' && char != '\\' {
			continue
		}
		out = append(out, text[written:position]...)
		written = position + 1
		if char >= ' ' {
			out = append(out, '\\', char)
		} else {
			out = append(out, '\\', 'u', '0', '0', digits[char>>4], digits[char&15])
		}
	}
	return append(append(out, text[written:]...), '"')
}

func answerValue(ctx *fasthttp.RequestCtx, status int, value any) error {
	body, err := json.Marshal(value)
	if err == nil {
		answer(ctx, status, body)
	}
	return err
}
