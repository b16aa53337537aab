// The task service on fasthttp and pgx: pooled connections, binary results, JSON written by hand.
package main

import (
	"context"
	"log"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

const (
	bodyBytesMax    = 64 * 1024
	readTimeout     = 10 * time.Second
	writeTimeout    = 10 * time.Second
	idleTimeout     = 75 * time.Second
	shutdownTimeout = 5 * time.Second
	startTimeout    = 10 * time.Second
)

type app struct {
	database *database
	auth     *auth
}

func main() {
	uuid.EnableRandPool()
	workers := number("WORKERS", runtime.NumCPU())
	runtime.GOMAXPROCS(workers)

	starting, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	database, err := connect(starting, required("DATABASE_URL"), number("POOL_SIZE", 16))
	if err != nil {
		log.Fatalf("Cannot connect: %v", err)
	}
	service := &app{database: database, auth: newAuth(required("JWT_SECRET"), workers)}
	server := &fasthttp.Server{
		Handler:               fasthttp.CompressHandlerLevel(service.serve, fasthttp.CompressBestSpeed),
		ErrorHandler:          refuseMalformed,
		MaxRequestBodySize:    bodyBytesMax,
		ReadTimeout:           readTimeout,
		WriteTimeout:          writeTimeout,
		IdleTimeout:           idleTimeout,
		NoDefaultServerHeader: true,
		NoDefaultContentType:  true,
		CloseOnShutdown:       true,
	}

	ended, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	go func() {
		if err := server.ListenAndServe(net.JoinHostPort("127.0.0.1", required("PORT"))); err != nil {
			log.Fatal(err)
		}
	}()
	<-ended.Done()

	deadline, cancelShutdown := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancelShutdown()
	if err := server.ShutdownWithContext(deadline); err != nil {
		log.Fatal(err)
	}
	database.pool.Close()
}

func required(name string) string {
	text := os.Getenv(name)
	if text == "" {
		log.Fatalf("%s is required", name)
	}
	return text
}

func number(name string, fallback int) int {
	text := os.Getenv(name)
	if text == "" {
		return fallback
	}
	value, err := strconv.Atoi(text)
	if err != nil || value < 1 {
		log.Fatalf("%s is %q, expected a positive integer", name, text)
	}
	return value
}
