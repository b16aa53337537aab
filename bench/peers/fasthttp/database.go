// The statements and the pool. Every statement on tasks carries the account's id first, so "not yours" is "not found".
package main

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/valyala/fasthttp"
)

const (
	columns = "id, user_id, title, description, status, priority, due_at, created_at, updated_at"

	sqlList = "select " + columns + ` from tasks where user_id = $1
		order by created_at desc, id desc limit $2 offset $3`
	sqlListByStatus = "select " + columns + ` from tasks where user_id = $1 and status = $2
		order by created_at desc, id desc limit $3 offset $4`
	sqlCreate = `insert into tasks (user_id, id, title, description, priority, due_at)
		values ($1, $2, $3, $4, $5, $6) returning ` + columns
	sqlGet    = "select " + columns + " from tasks where user_id = $1 and id = $2"
	sqlUpdate = `update tasks set
			title = coalesce($3, title),
			description = case when $4 then $5 else description end,
			status = coalesce($6, status),
			priority = coalesce($7, priority),
			due_at = case when $8 then $9 else due_at end
		where user_id = $1 and id = $2 returning ` + columns
	sqlDelete     = "delete from tasks where user_id = $1 and id = $2"
	sqlCreateUser = `insert into users (id, email, password_hash) values ($1, $2, $3)
		on conflict do nothing returning id, email, created_at`
	sqlCredentials = `select id, email, created_at, password_hash from users
		where lower(email collate "C") = lower($1 collate "C")`

	connectionLife = 24 * time.Hour
)

// All columns in binary: text and enums are their own text.
var binaryColumns = pgx.QueryResultFormats{pgx.BinaryFormatCode}

type database struct{ pool *pgxpool.Pool }

// A pool of fixed size. No request has a context of its own, which would cost a goroutine for each statement: PostgreSQL
// ends a statement that takes too long.
func connect(ctx context.Context, url string, size int) (*database, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns, config.MinConns = int32(size), int32(size)
	config.MaxConnLifetime, config.MaxConnIdleTime = connectionLife, connectionLife
	config.ConnConfig.RuntimeParams["statement_timeout"] = "5000"
	config.ConnConfig.RuntimeParams["jit"] = "off"
	config.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &database{pool}, pool.Ping(ctx)
}

// Hands each row to read, whose values are valid during the call only. Returns how many there were.
func (d *database) query(sql string, read func(values [][]byte), args ...any) (int, error) {
	rows, err := d.pool.Query(context.Background(), sql, append([]any{binaryColumns}, args...)...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	count := 0
	for rows.Next() {
		read(rows.RawValues())
		count++
	}
	return count, rows.Err()
}

func (d *database) execute(sql string, args ...any) (int64, error) {
	tag, err := d.pool.Exec(context.Background(), sql, args...)
	return tag.RowsAffected(), err
}

func describe(err error) *problem {
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) {
		switch {
		case refusal.ConstraintName == "tasks_user_id_fkey":
			return &problem{fasthttp.StatusUnauthorized, "The account of this token no longer exists"}
		case refusal.Code == "22021":
			return &problem{fasthttp.StatusBadRequest, "Text must not contain NUL"}
		case refusal.Code == "57014":
			return &problem{fasthttp.StatusServiceUnavailable, "The database took too long"}
		}
	}
	return &problem{fasthttp.StatusInternalServerError, "Internal server error"}
}

// For the log. What PostgreSQL says beside its code can hold what a client sent.
func cause(err error) string {
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) {
		return "PostgreSQL answers " + refusal.Code
	}
	return err.Error()
}
