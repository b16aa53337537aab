// What clients send, and the rules for it.
package main

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

const (
	limitDefault = 50
	limitMax     = 100
)

var (
	statuses   = map[string]bool{"todo": true, "in_progress": true, "done": true, "cancelled": true}
	priorities = map[string]bool{"low": true, "medium": true, "high": true, "critical": true}
	email      = regexp.MustCompile(`^[!-?A-~]+@[!-\-/-?A-~]+(\.[!-\-/-?A-~]+)+$`)
	jsonType   = []byte("application/json")
)

// A field that may be absent, null, or there.
type optional[T any] struct {
	given bool
	value *T
}

// Runs also for null, but not for a field that is absent.
func (o *optional[T]) UnmarshalJSON(text []byte) error {
	o.given = true
	return json.Unmarshal(text, &o.value)
}

type newTask struct {
	Title       string     `json:"title"`
	Description *string    `json:"description"`
	Priority    *string    `json:"priority"`
	DueAt       *time.Time `json:"due_at"`
}

func (t *newTask) broken() string {
	return firstOf(
		brokenTitle(&t.Title),
		brokenDescription(t.Description),
		brokenWord("priority", t.Priority, priorities),
		brokenTime(t.DueAt),
	)
}

type taskChanges struct {
	Title       optional[string]    `json:"title"`
	Description optional[string]    `json:"description"`
	Status      optional[string]    `json:"status"`
	Priority    optional[string]    `json:"priority"`
	DueAt       optional[time.Time] `json:"due_at"`
}

func (c *taskChanges) broken() string {
	if !c.Title.given && !c.Description.given && !c.Status.given && !c.Priority.given && !c.DueAt.given {
		return "there must be a field"
	}
	for _, field := range []optional[string]{c.Title, c.Status, c.Priority} {
		if field.given && field.value == nil {
			return "only description and due_at can be null"
		}
	}
	return firstOf(
		brokenTitle(c.Title.value),
		brokenDescription(c.Description.value),
		brokenWord("status", c.Status.value, statuses),
		brokenWord("priority", c.Priority.value, priorities),
		brokenTime(c.DueAt.value),
	)
}

type registration struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

func (r *registration) broken() string {
	if !email.MatchString(r.Email) || len(r.Email) > 254 {
		return "email must be an e-mail address"
	}
	return brokenLength("password", r.Password, 8, 128)
}

type credentials struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

func (c *credentials) broken() string {
	return firstOf(brokenLength("email", c.Email, 1, 254), brokenLength("password", c.Password, 1, 128))
}

type page struct {
	status        string
	limit, offset int
}

func parsePage(args *fasthttp.Args) (page, error) {
	found := page{limit: limitDefault}
	for name, value := range args.All() {
		var err error
		switch string(name) {
		case "status":
			found.status = string(value)
			if !statuses[found.status] {
				err = invalid("status is none that a task can have")
			}
		case "limit":
			found.limit, err = parseNumber("limit", value, 1)
			found.limit = min(found.limit, limitMax)
		case "offset":
			found.offset, err = parseNumber("offset", value, 0)
		default:
			err = invalid("the query has an unknown name")
		}
		if err != nil {
			return page{}, err
		}
	}
	return found, nil
}

func parseNumber(name string, text []byte, least int) (int, error) {
	number, err := strconv.Atoi(string(text))
	if err != nil || number < least {
		return 0, invalid(name + " must be an integer of at least " + strconv.Itoa(least))
	}
	return number, nil
}

func parseID(text []byte) (uuid.UUID, error) {
	id, err := uuid.ParseBytes(text)
	// Other lengths are other spellings of a UUID.
	if err != nil || len(text) != 36 {
		return uuid.Nil, invalid("the id must be a UUID")
	}
	return id, nil
}

// Reads the body into value, which must then keep to its rules.
func readJSON(ctx *fasthttp.RequestCtx, value interface{ broken() string }) error {
	if !bytes.HasPrefix(ctx.Request.Header.ContentType(), jsonType) {
		return invalid("the body must be application/json")
	}
	decoder := json.NewDecoder(bytes.NewReader(ctx.PostBody()))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(value); err != nil {
		return invalid("the body is not as it should be")
	}
	if _, err := decoder.Token(); err != io.EOF {
		return invalid("the body goes on after its JSON")
	}
	if rule := value.broken(); rule != "" {
		return invalid(rule)
	}
	return nil
}

// Names the rule that is broken, never the value: it may be a password.
func invalid(rule string) error {
	return &problem{fasthttp.StatusBadRequest, "Invalid: " + rule}
}

func firstOf(rules ...string) string {
	for _, rule := range rules {
		if rule != "" {
			return rule
		}
	}
	return ""
}

func brokenTitle(title *string) string {
	if title == nil {
		return ""
	}
	return brokenLength("title", *title, 1, 200)
}

func brokenDescription(description *string) string {
	if description == nil {
		return ""
	}
	return brokenLength("description", *description, 0, 2000)
}

func brokenLength(name, text string, least, most int) string {
	if length := utf8.RuneCountInString(text); length < least || length > most {
		return name + " must have " + strconv.Itoa(least) + " to " + strconv.Itoa(most) + " characters"
	}
	return ""
}

func brokenWord(name string, word *string, known map[string]bool) string {
	if word != nil && !known[*word] {
		return name + " is none that a task can have"
	}
	return ""
}

// RFC 3339 has no other years than those of four digits.
func brokenTime(instant *time.Time) string {
	if instant == nil {
		return ""
	}
	if year := instant.UTC().Year(); year < 1 || year > 9999 {
		return "due_at must have a year of four digits"
	}
	return ""
}
