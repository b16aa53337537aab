// Accounts and tasks.
package main

import (
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

// What a task takes as JSON, roughly.
const taskBytes = 400

var (
	errTaken       = &problem{fasthttp.StatusConflict, "There is already an account with this e-mail address"}
	errCredentials = &problem{fasthttp.StatusUnauthorized, "Wrong e-mail address or password"}
)

// An account, as it is sent.
type user struct {
	id        uuid.UUID
	email     []byte
	createdAt []byte
}

func readUser(values [][]byte) user {
	return user{
		id:        uuid.UUID(values[0]),
		email:     append([]byte{}, values[1]...),
		createdAt: append([]byte{}, values[2]...),
	}
}

func (a *app) register(ctx *fasthttp.RequestCtx) error {
	var request registration
	if err := readJSON(ctx, &request); err != nil {
		return err
	}
	passwordHash, err := a.auth.hashPassword(request.Password)
	if err != nil {
		return err
	}
	var created user
	read := func(values [][]byte) { created = readUser(values) }
	count, err := a.database.query(sqlCreateUser, read, newID(), request.Email, passwordHash)
	if err != nil {
		return err
	}
	if count == 0 {
		return errTaken
	}
	return a.openSession(ctx, fasthttp.StatusCreated, created)
}

func (a *app) login(ctx *fasthttp.RequestCtx) error {
	var request credentials
	if err := readJSON(ctx, &request); err != nil {
		return err
	}
	var found user
	var stored string
	read := func(values [][]byte) { found, stored = readUser(values), string(values[3]) }
	if _, err := a.database.query(sqlCredentials, read, request.Email); err != nil {
		return err
	}
	right, err := a.auth.verifyPassword(request.Password, stored)
	if err != nil {
		return err
	}
	if !right {
		return errCredentials
	}
	return a.openSession(ctx, fasthttp.StatusOK, found)
}

func (a *app) openSession(ctx *fasthttp.RequestCtx, status int, user user) error {
	token, expiresAt, err := a.auth.sign(user.id)
	if err != nil {
		return err
	}
	out := appendString([]byte(`{"token":`), []byte(token))
	out = appendTime(append(out, `,"expires_at":`...), expiresAt)
	out = appendID(append(out, `,"user":{"id":`...), user.id[:])
	out = appendString(append(out, `,"email":`...), user.email)
	out = appendInstant(append(out, `,"created_at":`...), user.createdAt)
	answer(ctx, status, append(out, "}}"...))
	return nil
}

func (a *app) listTasks(ctx *fasthttp.RequestCtx, userID uuid.UUID) error {
	page, err := parsePage(ctx.QueryArgs())
	if err != nil {
		return err
	}
	out := append(make([]byte, 0, page.limit*taskBytes+2), '[')
	read := func(values [][]byte) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = appendTask(out, values)
	}
	if page.status == "" {
		_, err = a.database.query(sqlList, read, userID, page.limit, page.offset)
	} else {
		_, err = a.database.query(sqlListByStatus, read, userID, page.status, page.limit, page.offset)
	}
	if err != nil {
		return err
	}
	answer(ctx, fasthttp.StatusOK, append(out, ']'))
	return nil
}

func (a *app) createTask(ctx *fasthttp.RequestCtx, userID uuid.UUID) error {
	var task newTask
	if err := readJSON(ctx, &task); err != nil {
		return err
	}
	priority := "medium"
	if task.Priority != nil {
		priority = *task.Priority
	}
	return a.answerTask(ctx, fasthttp.StatusCreated, sqlCreate,
		userID, newID(), task.Title, task.Description, priority, task.DueAt)
}

func (a *app) getTask(ctx *fasthttp.RequestCtx, userID, id uuid.UUID) error {
	return a.answerTask(ctx, fasthttp.StatusOK, sqlGet, userID, id)
}

func (a *app) updateTask(ctx *fasthttp.RequestCtx, userID, id uuid.UUID) error {
	var changes taskChanges
	if err := readJSON(ctx, &changes); err != nil {
		return err
	}
	return a.answerTask(ctx, fasthttp.StatusOK, sqlUpdate, userID, id, changes.Title.value,
		changes.Description.given, changes.Description.value, changes.Status.value,
		changes.Priority.value, changes.DueAt.given, changes.DueAt.value)
}

func (a *app) deleteTask(ctx *fasthttp.RequestCtx, userID, id uuid.UUID) error {
	count, err := a.database.execute(sqlDelete, userID, id)
	if err != nil {
		return err
	}
	if count == 0 {
		return errTask
	}
	ctx.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}

// Answers with the one task that the statement returns.
func (a *app) answerTask(ctx *fasthttp.RequestCtx, status int, sql string, args ...any) error {
	var out []byte
	read := func(values [][]byte) { out = appendTask(make([]byte, 0, taskBytes), values) }
	count, err := a.database.query(sql, read, args...)
	if err != nil {
		return err
	}
	if count == 0 {
		return errTask
	}
	answer(ctx, status, out)
	return nil
}
