// Tokens and passwords.
package main

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
	"golang.org/x/crypto/argon2"
)

const (
	tokenLife = 24 * time.Hour
	// Verified tokens that are remembered; when there are more, all are forgotten.
	rememberedMax = 10_000
	// Passwords that are hashed or wait for it; more are turned away.
	hashingMax = 256
	// OWASP's costs of Argon2id.
	memoryKiB   = 19_456
	passes      = 2
	parallelism = 1
	saltBytes   = 16
	hashBytes   = 32
)

var (
	errNoToken    = &problem{fasthttp.StatusUnauthorized, "A bearer token is required"}
	errBadToken   = &problem{fasthttp.StatusUnauthorized, "The token is not valid or has expired"}
	errHashing    = &problem{fasthttp.StatusServiceUnavailable, "Too many passwords are being checked"}
	errStoredHash = errors.New("a stored password hash cannot be read")
	bearerScheme  = []byte("bearer")
)

type auth struct {
	secret []byte
	parser *jwt.Parser

	lock     sync.RWMutex
	verified map[string]verifiedToken

	// A place for each password that is hashed at a time: each takes 19 MiB and a whole core.
	places  chan struct{}
	hashing atomic.Int64
	// Verified for accounts that do not exist, so that they take as long as those that do.
	decoy string
}

type verifiedToken struct {
	userID    uuid.UUID
	expiresAt time.Time
}

func newAuth(secret string, hashThreads int) *auth {
	return &auth{
		secret: []byte(secret),
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
			jwt.WithExpirationRequired(),
		),
		verified: map[string]verifiedToken{},
		places:   make(chan struct{}, hashThreads),
		decoy:    hash(rand.Text()),
	}
}

// A token for the account, and when it expires.
func (a *auth) sign(userID uuid.UUID) (string, time.Time, error) {
	now := time.Now().Truncate(time.Second)
	expiresAt := now.Add(tokenLife)
	claims := jwt.RegisteredClaims{
		Subject:   userID.String(),
		IssuedAt:  jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(expiresAt),
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(a.secret)
	return token, expiresAt, err
}

// The account of an Authorization header.
func (a *auth) verify(header []byte) (uuid.UUID, error) {
	scheme, token, _ := bytes.Cut(header, []byte(" "))
	if !bytes.EqualFold(scheme, bearerScheme) {
		return uuid.Nil, errNoToken
	}
	token = bytes.TrimLeft(token, " ")
	a.lock.RLock()
	known, found := a.verified[string(token)]
	a.lock.RUnlock()
	if found && time.Now().Before(known.expiresAt) {
		return known.userID, nil
	}
	return a.verifySignature(string(token))
}

func (a *auth) verifySignature(token string) (uuid.UUID, error) {
	var claims jwt.RegisteredClaims
	_, err := a.parser.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return a.secret, nil })
	if err != nil {
		return uuid.Nil, errBadToken
	}
	userID, err := uuid.Parse(claims.Subject)
	if err != nil {
		return uuid.Nil, errBadToken
	}
	a.lock.Lock()
	defer a.lock.Unlock()
	if len(a.verified) >= rememberedMax {
		clear(a.verified)
	}
	a.verified[token] = verifiedToken{userID, claims.ExpiresAt.Time}
	return userID, nil
}

func (a *auth) hashPassword(password string) (string, error) {
	leave, err := a.enter()
	if err != nil {
		return "", err
	}
	defer leave()
	return hash(password), nil
}

// False also for an unknown account, whose stored hash is empty, after the same work.
func (a *auth) verifyPassword(password, stored string) (bool, error) {
	leave, err := a.enter()
	if err != nil {
		return false, err
	}
	defer leave()
	if stored == "" {
		_, err := matches(password, a.decoy)
		return false, err
	}
	return matches(password, stored)
}

// Waits for a place, and returns what gives it back.
func (a *auth) enter() (func(), error) {
	if a.hashing.Add(1) > hashingMax {
		a.hashing.Add(-1)
		return nil, errHashing
	}
	a.places <- struct{}{}
	return func() {
		<-a.places
		a.hashing.Add(-1)
	}, nil
}

// A PHC string.
func hash(password string) string {
	salt := make([]byte, saltBytes)
	rand.Read(salt)
	key := argon2.IDKey([]byte(password), salt, passes, memoryKiB, parallelism, hashBytes)
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, memoryKiB, passes, parallelism, encode(salt), encode(key))
}

func matches(password, stored string) (bool, error) {
	parts := strings.Split(stored, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return false, errStoredHash
	}
	var memory, time uint32
	var threads uint8
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &time, &threads); err != nil {
		return false, errStoredHash
	}
	salt, saltErr := base64.RawStdEncoding.DecodeString(parts[4])
	key, keyErr := base64.RawStdEncoding.DecodeString(parts[5])
	if saltErr != nil || keyErr != nil || len(key) == 0 {
		return false, errStoredHash
	}
	found := argon2.IDKey([]byte(password), salt, time, memory, threads, uint32(len(key)))
	return subtle.ConstantTimeCompare(found, key) == 1, nil
}
