// From a request to its answer: the route, the account, the headers that all answers have.
package main

import (
	"bytes"
	"errors"
	"log"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

const requestIDLengthMax = 128

var (
	errMethod = &problem{fasthttp.StatusMethodNotAllowed, "The path has no such method"}
	errPath   = &problem{fasthttp.StatusNotFound, "Not found: path"}
	errTask   = &problem{fasthttp.StatusNotFound, "Not found: task"}

	healthPath   = []byte("/health")
	apiPrefix    = []byte("/api/v1/")
	registerPath = []byte("auth/register")
	loginPath    = []byte("auth/login")
	tasksPath    = []byte("tasks")
	taskPrefix   = []byte("tasks/")
)

// A failure that the client may know of.
type problem struct {
	status  int
	message string
}

func (p *problem) Error() string { return p.message }

func (a *app) serve(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.Set("Access-Control-Allow-Origin", "*")
	requestID := setRequestID(ctx)
	if err := a.route(ctx); err != nil {
		refuse(ctx, requestID, err)
	}
}

func (a *app) route(ctx *fasthttp.RequestCtx) error {
	if ctx.IsOptions() {
		return preflight(ctx)
	}
	path := ctx.Path()
	if bytes.Equal(path, healthPath) {
		return health(ctx)
	}
	path, found := bytes.CutPrefix(path, apiPrefix)
	if !found {
		return errPath
	}
	switch {
	case bytes.Equal(path, tasksPath):
		return a.routeTasks(ctx)
	case bytes.HasPrefix(path, taskPrefix):
		return a.routeTask(ctx, path[len(taskPrefix):])
	case bytes.Equal(path, loginPath):
		return onlyPost(ctx, a.login)
	case bytes.Equal(path, registerPath):
		return onlyPost(ctx, a.register)
	}
	return errPath
}

func (a *app) routeTasks(ctx *fasthttp.RequestCtx) error {
	if !ctx.IsGet() && !ctx.IsPost() {
		return errMethod
	}
	userID, err := a.auth.verify(ctx.Request.Header.Peek("Authorization"))
	if err != nil {
		return err
	}
	if ctx.IsPost() {
		return a.createTask(ctx, userID)
	}
	return a.listTasks(ctx, userID)
}

func (a *app) routeTask(ctx *fasthttp.RequestCtx, idText []byte) error {
	if bytes.IndexByte(idText, '/') >= 0 {
		return errPath
	}
	if !ctx.IsGet() && !ctx.IsPatch() && !ctx.IsDelete() {
		return errMethod
	}
	userID, err := a.auth.verify(ctx.Request.Header.Peek("Authorization"))
	if err != nil {
		return err
	}
	id, err := parseID(idText)
	if err != nil {
		return err
	}
	switch {
	case ctx.IsPatch():
		return a.updateTask(ctx, userID, id)
	case ctx.IsDelete():
		return a.deleteTask(ctx, userID, id)
	}
	return a.getTask(ctx, userID, id)
}

func onlyPost(ctx *fasthttp.RequestCtx, handle func(*fasthttp.RequestCtx) error) error {
	if !ctx.IsPost() {
		return errMethod
	}
	return handle(ctx)
}

type status struct {
	Status string `json:"status"`
}

func health(ctx *fasthttp.RequestCtx) error {
	if !ctx.IsGet() {
		return errMethod
	}
	return answerValue(ctx, fasthttp.StatusOK, status{Status: "ok"})
}

func preflight(ctx *fasthttp.RequestCtx) error {
	ctx.Response.Header.Set("Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE")
	ctx.Response.Header.Set("Access-Control-Allow-Headers", "authorization, content-type, x-request-id")
	ctx.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}

// The client's own, if it is printable and of a sensible length.
func setRequestID(ctx *fasthttp.RequestCtx) []byte {
	id := ctx.Request.Header.Peek("X-Request-Id")
	if !isRequestID(id) {
		id = newRequestID()
	}
	ctx.Response.Header.SetBytesV("X-Request-Id", id)
	return id
}

func isRequestID(id []byte) bool {
	for _, char := range id {
		if char <= ' ' || char > '~' {
			return false
		}
	}
	return len(id) > 0 && len(id) <= requestIDLengthMax
}

func newRequestID() []byte {
	text, _ := newID().MarshalText()
	return text
}

// Of version 7: in the order of time.
func newID() uuid.UUID {
	return uuid.Must(uuid.NewV7())
}

func refuse(ctx *fasthttp.RequestCtx, requestID []byte, err error) {
	var known *problem
	if !errors.As(err, &known) {
		known = describe(err)
	}
	if known.status >= fasthttp.StatusInternalServerError {
		log.Printf("request %s: %s", requestID, cause(err))
	}
	body := appendString([]byte(`{"error":`), []byte(known.message))
	answer(ctx, known.status, append(body, '}'))
}

// Answers what fasthttp itself could not read.
func refuseMalformed(ctx *fasthttp.RequestCtx, err error) {
	status, message := fasthttp.StatusBadRequest, "The request is malformed"
	if errors.Is(err, fasthttp.ErrBodyTooLarge) {
		status, message = fasthttp.StatusRequestEntityTooLarge, "The body is too large"
	}
	body := appendString([]byte(`{"error":`), []byte(message))
	answer(ctx, status, append(body, '}'))
}

func answer(ctx *fasthttp.RequestCtx, status int, json []byte) {
	ctx.SetStatusCode(status)
	ctx.Response.Header.SetContentType("application/json")
	ctx.Response.SetBodyRaw(json)
}
